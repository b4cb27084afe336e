"""The shipped patterns with routes by their formulas, in float64 NumPy and torch, from the papers.

A formula of a plan takes q, k [batch, heads, tokens, dim] with equal heads, the setting and the inputs, and
gives which pairs of tokens are computed, bool [batch, heads, queries, keys]. It goes row by row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]
Setting = dict[str, Any]
Inputs = dict[str, Tensor]
Masks = dict[str, Array]
"""By branch; '' is a pattern without branches."""


def arrays(*tensors: Tensor) -> list[Array]:
    return [each.detach().double().numpy() for each in tensors]


def runs(n: int, block: int) -> list[Array]:
    """The tokens of each block."""
    return [np.arange(start, min(start + block, n)) for start in range(0, n, block)]


def boxes(shape: tuple[int, ...], box: tuple[int, ...]) -> list[Array]:
    """The tokens of each box, boxes and tokens row-major."""
    places = np.stack(np.unravel_index(np.arange(math.prod(shape)), shape), -1)
    grid = [-(-extent // size) for extent, size in zip(shape, box, strict=True)]
    return [np.flatnonzero((places // np.array(box) == np.array(cell)).all(-1)) for cell in np.ndindex(*grid)]


def each_head(x: Array) -> Iterator[tuple[int, int]]:
    return np.ndindex(x.shape[0], x.shape[1])


def means(x: Array, blocks: list[Array]) -> Array:
    """[batch, heads, blocks, dim]."""
    return np.stack([x[:, :, tokens].mean(2) for tokens in blocks], 2)


def softmax(scores: Array) -> Array:
    finite = scores > -math.inf
    highest = np.where(finite.any(-1, keepdims=True), scores.max(-1, keepdims=True), 0.0)
    weights = np.exp(scores - highest)
    return np.asarray(weights / np.maximum(weights.sum(-1, keepdims=True), 1e-300))


def no_pairs(q: Array, keys: int) -> Array:
    return np.zeros((*q.shape[:3], keys), dtype=bool)


def causal(n: int) -> Array:
    return np.tril(np.ones((n, n), dtype=bool))


def largest(scores: Array, count: int) -> Array:
    """The places of the `count` largest."""
    return np.argsort(-scores, kind="stable")[: max(count, 0)]


# ---------------------------------------------------------------- plans


def moba(q: Tensor, k: Tensor, setting: Setting, inputs: Inputs) -> Masks:
    queries, keys = arrays(q, k)
    n, block = queries.shape[2], setting["block"]
    blocks = runs(n, block)
    pooled, mask = means(keys, blocks), no_pairs(queries, n)
    for b, h in each_head(queries):
        for i in range(n):
            own = i // block
            scores = pooled[b, h, :own] @ queries[b, h, i]
            for j in (own, *largest(scores, setting["topk"] - 1)):
                mask[b, h, i, blocks[j]] = True
    return {"": mask & causal(n)}


def biformer(q: Tensor, k: Tensor, setting: Setting, inputs: Inputs) -> Masks:
    queries, keys = arrays(q, k)
    height, width = setting["shape"]
    n_win = setting["n_win"]
    regions = boxes((height, width), (height // n_win, width // n_win))
    mask = no_pairs(queries, queries.shape[2])
    for b in range(len(queries)):
        q_mean, k_mean = (
            np.stack([x[b][:, tokens].mean(1).reshape(-1) for tokens in regions]) for x in (queries, keys)
        )
        for a, tokens in enumerate(regions):
            for j in largest(k_mean @ q_mean[a], setting["topk"]):
                mask[b][:, tokens[:, None], regions[j]] = True
    return {"": mask}


def dma(q: Tensor, k: Tensor, setting: Setting, inputs: Inputs) -> Masks:
    (queries, bias), n = arrays(q, inputs["bias"]), q.shape[2]
    mask = no_pairs(queries, n)
    for b, h in each_head(queries):
        own = bias[b, h] if bias.ndim == 3 else bias[h]
        for i in range(n):
            mask[b, h, i, largest(own[: i + 1], setting["window"])] = True
    return {"": mask}


def draft(q: Tensor, k: Tensor, setting: Setting, inputs: Inputs) -> Masks:
    queries, keys = arrays(q, k)
    shape, tokens = setting["shape"], math.prod(setting["shape"])
    cells = boxes(shape, (1, *setting["pool"]))
    scores = means(queries[:, :, :tokens], cells) @ means(keys[:, :, :tokens], cells).swapaxes(2, 3)
    probabilities = softmax(scores * queries.shape[3] ** -0.5)
    mask = np.ones((*queries.shape[:3], queries.shape[2]), dtype=bool)
    mask[:, :, :tokens, :tokens] = False
    dropped = int(setting["sparsity"] * len(cells) ** 2)
    for b, h in each_head(queries):
        limit = np.sort(probabilities[b, h].reshape(-1))[dropped - 1] if dropped else -math.inf
        for row, column in np.argwhere(probabilities[b, h] >= limit):
            mask[b, h, cells[row][:, None], cells[column]] = True
    return {"": mask}


def xattention(q: Tensor, k: Tensor, setting: Setting, inputs: Inputs) -> Masks:
    queries, keys = arrays(q, k)
    n, block, stride = queries.shape[2], setting["block"], setting["stride"]
    groups, blocks = -(-n // stride), runs(n, block)
    padded_q, padded_k = (
        np.pad(x, ((0, 0), (0, 0), (0, groups * stride - n), (0, 0))) for x in (queries, keys)
    )
    mask = no_pairs(queries, n)
    for b, h in each_head(queries):
        logits = np.full((groups, groups), -math.inf)
        for row in range(groups):
            for column in range(row + 1):
                products = [
                    padded_q[b, h, row * stride + stride - 1 - step] @ padded_k[b, h, column * stride + step]
                    for step in range(stride)
                ]
                logits[row, column] = sum(products) / (math.sqrt(q.shape[3]) * stride)
        weights, per = softmax(logits), block // stride
        for a, tokens in enumerate(blocks):
            rows = weights[a * per : (a + 1) * per]
            worth = np.array([rows[:, j * per : (j + 1) * per].sum() for j in range(a + 1)])
            kept, reached = [a], worth[a]
            for j in largest(worth[:a], a):
                if reached >= setting["tau"] * worth.sum():
                    break
                kept, reached = [*kept, int(j)], reached + worth[j]
            for j in kept:
                mask[b, h, tokens[:, None], blocks[j]] = True
    return {"": mask & causal(n)}


def sparge(q: Tensor, k: Tensor, setting: Setting, inputs: Inputs) -> Masks:
    queries, keys = arrays(q, k)
    n = queries.shape[2]
    rows, columns = runs(n, setting["bq"]), runs(n, setting["bk"])
    mask = no_pairs(queries, n)
    for b, h in each_head(queries):
        alike_q = [similarity(queries[b, h, tokens]) > setting["sim"] for tokens in rows]
        alike_k = np.array([similarity(keys[b, h, tokens]) > setting["sim"] for tokens in columns])
        k_mean = np.stack([keys[b, h, tokens].mean(0) for tokens in columns])
        for a, tokens in enumerate(rows):
            scores = k_mean @ queries[b, h, tokens].mean(0) * q.shape[3] ** -0.5
            weights = softmax(np.where(alike_k, scores, -math.inf))
            order = [j for j in largest(weights, len(weights)) if alike_k[j]]
            if setting.get("topk", 0.0) > 0:
                count = max(int(setting["topk"] * len(columns)), 1)
            else:
                count = max(int((np.cumsum(weights[order]) <= setting["cdf"]).sum()), 1)
            chosen = order[:count] + np.flatnonzero(~alike_k).tolist()
            for j in chosen if alike_q[a] else range(len(columns)):
                mask[b, h, tokens[:, None], columns[j]] = True
    return {"": mask}


def similarity(x: Array) -> float:
    """The mean of the cosines of all pairs of rows."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    return float((unit @ unit.T).mean())


def vmoba(q: Tensor, k: Tensor, setting: Setting, inputs: Inputs) -> Masks:
    queries, keys = arrays(q, k)
    shape, n = setting["shape"], queries.shape[2]
    t, y, x = setting["chunk"]
    box = {0: (t, *shape[1:]), 1: (shape[0], y, x), 2: (t, y, x)}[setting.get("layout", 2)]
    cells = boxes(shape, box)
    own = np.zeros((n, len(cells)), dtype=bool)
    for number, tokens in enumerate(cells):
        own[tokens, number] = True
    scores = queries @ means(keys, cells).swapaxes(2, 3)
    axes = {"query": (3,), "head": (2, 3), "all": (1, 2, 3)}[setting.get("pool", "head")]
    kept = np.zeros(scores.shape, dtype=bool)
    for place in np.ndindex(*scores.shape[: 4 - len(axes)]):
        flat, mine = scores[place].reshape(-1), np.broadcast_to(own, scores.shape)[place].reshape(-1)
        chosen = kept[place].reshape(-1)
        if setting.get("tau", 0.0) > 0:
            chosen[:] = by_share(flat, mine, setting["tau"])
        else:
            count = setting.get("topk", 3) * (flat.size // len(cells))
            chosen[largest(flat + 1e9 * mine, count)] = True
    mask = no_pairs(queries, n)
    for number, tokens in enumerate(cells):
        mask[..., tokens] = kept[..., number, None]
    return {"": mask}


def by_share(scores: Array, own: Array, tau: float) -> Array:
    """The own ones, and the fewest others with which the sum of min-max normalised scores reaches tau."""
    width = scores.max() - scores.min()
    norm = (scores - scores.min()) / (width if width > 0 else 1.0)
    chosen, reached, others = own.copy(), norm[own].sum(), 0
    for j in largest(np.where(own, -math.inf, norm), len(norm)):
        if own[j] or (others and reached >= tau * norm.sum()):
            break
        chosen[j], reached, others = True, reached + norm[j], others + 1
    return np.asarray(chosen)


def nsa(q: Tensor, k: Tensor, setting: Setting, inputs: Inputs) -> Masks:
    queries, keys = arrays(q, k)
    n, block, group = queries.shape[2], setting["block"], setting["heads"] // setting["kv_heads"]
    blocks = runs(n, block)
    pooled, mask = means(keys, blocks), no_pairs(queries, n)
    for b in range(len(queries)):
        for first in range(0, setting["heads"], group):
            for i in range(n):
                own, complete = i // block, (i + 1) // block
                importance = np.zeros(own + 1)
                for h in range(first, first + group):
                    scores = pooled[b, h, :complete] @ queries[b, h, i] * q.shape[3] ** -0.5
                    of_head = np.zeros(own + 1)
                    if complete:
                        of_head[:complete] = softmax(scores)
                    of_head[own] = 1.0
                    importance += of_head
                importance[own] += 1e-9  # the own block wins over one that has all the probability
                for j in largest(importance, setting["n_sel"]):
                    mask[b, first : first + group, i, blocks[j]] = True
    return {"selected": mask & causal(n)}


def sla(q: Tensor, k: Tensor, setting: Setting, inputs: Inputs) -> Masks:
    queries, keys = arrays(q, k)
    n = queries.shape[2]
    rows, columns = runs(n, setting["bq"]), runs(n, setting["bk"])
    critical, marginal = no_pairs(queries, n), no_pairs(queries, n)
    first, last = (int(setting[part] * len(columns)) for part in ("keep", "drop"))
    scores = means(queries, rows) @ (means(keys, columns) - keys.mean(2, keepdims=True)).swapaxes(2, 3)
    for b, h in each_head(queries):
        for a, tokens in enumerate(rows):
            order = largest(scores[b, h, a], len(columns))
            for place, j in enumerate(order):
                if place < first:
                    critical[b, h, tokens[:, None], columns[j]] = True
                elif place < len(columns) - last:
                    marginal[b, h, tokens[:, None], columns[j]] = True
    return {"critical": critical, "marginal": marginal}


PLANS: dict[str, Callable[[Tensor, Tensor, Setting, Inputs], Masks]] = {
    "biformer": biformer, "dma": dma, "draft": draft, "moba": moba, "nsa": nsa, "sla": sla,
    "sparge": sparge, "vmoba": vmoba, "xattention": xattention,
}  # fmt: skip


# ---------------------------------------------------------------- outputs


def attention(scores: Tensor, mask: Array, v: Tensor) -> Tensor:
    """Softmax attention; 0 for queries that see nothing."""
    seen = torch.from_numpy(mask)
    weights = torch.softmax(scores.masked_fill(~seen, -math.inf), -1)
    return torch.where(seen.any(-1, keepdim=True), weights, 0.0) @ v


def output(
    name: str, q: Tensor, k: Tensor, v: Tensor, masks: Masks, setting: Setting, inputs: Inputs
) -> Tensor:
    """What the pattern computes of the pairs of its plan, in float64."""
    scores = q @ k.mT * q.shape[3] ** -0.5
    match name:
        case "biformer":
            return attention(q @ k.mT * (q.shape[1] * q.shape[3]) ** -0.5, masks[""], v)
        case "dma":
            return attention(scores + inputs["bias"].unsqueeze(-2), masks[""], v)
        case "nsa":
            return nsa_output(q, k, v, masks["selected"], setting, inputs)
        case "sla":
            return sla_output(q, k, v, masks, inputs)
        case "svg_route":
            return attention(scores, masks["spatial"], v) + attention(scores, masks["temporal"], v)
    return attention(scores, masks[""], v)


def nsa_output(q: Tensor, k: Tensor, v: Tensor, selected: Array, setting: Setting, inputs: Inputs) -> Tensor:
    n, block, window = q.shape[2], setting["block"], setting["window"]
    blocks = runs(n, block)
    k_mean, v_mean = (torch.stack([x[:, :, tokens].mean(2) for tokens in blocks], 2) for x in (k, v))
    place = np.arange(n)
    complete = (np.arange(len(blocks)) + 1) * block <= place[:, None] + 1
    near = causal(n) & (place[:, None] - place < window)
    scores, pooled = (q @ x.mT * q.shape[3] ** -0.5 for x in (k, k_mean))
    parts = {
        "g_cmp": attention(pooled, complete, v_mean),
        "g_slc": attention(scores, selected, v),
        "g_swa": attention(scores, near, v),
    }
    gates = {name: torch.sigmoid(inputs[name].mT.unsqueeze(-1)) for name in parts}
    return sum((gates[name] * part for name, part in parts.items()), torch.zeros(()))


def sla_output(q: Tensor, k: Tensor, v: Tensor, masks: Masks, inputs: Inputs) -> Tensor:
    critical = attention(q @ k.mT * q.shape[3] ** -0.5, masks["critical"], v)
    weights = torch.softmax(q, -1) @ torch.softmax(k, -1).mT
    weights = torch.where(torch.from_numpy(masks["marginal"]), weights, 0.0)
    total = weights.sum(-1, keepdim=True)
    marginal = torch.where(total > 0, weights / torch.where(total > 0, total, 1.0), 0.0) @ v
    return critical + marginal @ inputs["w"].mT + inputs["b"]
