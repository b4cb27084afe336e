"""More shipped patterns with routes by their formulas: see `routed.py`. Pages, and chunks that data cut."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from tests.patterns.formulas import FORMULAS
from tests.patterns.routed import (
    Array,
    Inputs,
    Masks,
    Setting,
    arrays,
    causal,
    each_head,
    largest,
    no_pairs,
    runs,
    softmax,
)
from tests.patterns.routed_halves import EDGES as HALVES
from tests.patterns.routed_halves import hip
from tests.patterns.routed_probes import EDGES as PROBES
from tests.patterns.routed_probes import minference


def delta(q: Tensor, k: Tensor, setting: Setting, inputs: Inputs) -> Masks:
    queries, keys = arrays(q, k)
    n = queries.shape[2]
    pages = runs(n, setting["page"])
    mask = no_pairs(queries, n)
    for b in range(len(queries)):
        for i in range(n):
            seen = softmax(
                np.einsum("hd,hjd->hj", queries[b, :, i], keys[b, :, : i + 1]) * q.shape[3] ** -0.5
            )
            hardest = seen.max(0)
            worth = np.array(
                [hardest[tokens[tokens <= i]].sum() for tokens in pages[: i // setting["page"] + 1]]
            )
            worth[-setting["last"] :] = np.inf
            for j in largest(worth, setting["pages"]):
                mask[b][:, i, pages[j]] = True
    return {"": mask & causal(n)}


def dhsa(q: Tensor, k: Tensor, setting: Setting, inputs: Inputs) -> Masks:
    n, size = q.shape[2], setting["query_block"]
    (queries, keys), mask = arrays(q, k), np.zeros((*q.shape[:3], n), dtype=bool)
    for b in range(len(q)):
        for a, tokens in enumerate(runs(n, size)):
            end = min((a + 1) * size, n)
            worth = worth_of_keys(queries[b], keys[b], tokens, chunks(inputs, b))[:end]
            worth[max(end - setting["local"], 0) :] = np.inf
            mask[b][:, tokens[:, None], largest(worth, setting["budget"])] = True
    return {"": mask & causal(n)}


def svg_route(q: Tensor, k: Tensor, setting: Setting, inputs: Inputs) -> Masks:
    queries, keys, values = arrays(q, k, inputs["v"])
    sizes = {"block": setting["block"], "multiple": setting["multiple"]}
    near, across = (FORMULAS[name](setting["shape"], **sizes) for name in ("svg_spatial", "svg_temporal"))
    sampled = np.flatnonzero(inputs["sampled"].numpy() > 0)
    masks = {"spatial": no_pairs(queries, keys.shape[2]), "temporal": no_pairs(queries, keys.shape[2])}
    for b, h in each_head(queries):
        scores = queries[b, h, sampled] @ keys[b, h].T * q.shape[3] ** -0.5
        full = softmax(scores) @ values[b, h]
        lost = [
            ((softmax(np.where(mask[sampled], scores, -np.inf)) @ values[b, h] - full) ** 2).sum()
            for mask in (near, across)
        ]
        if lost[0] <= lost[1]:
            masks["spatial"][b, h] = near
        else:
            masks["temporal"][b, h] = across
    return masks


def worth_of_keys(queries: Array, keys: Array, block: Array, chunk: Array) -> Array:
    """What each key is worth to a block of queries [heads, tokens, dim]. chunk: the chunk of each key."""
    query, mean = queries[:, block].mean((0, 1)) * len(block) ** 0.5, keys.mean(0)
    worth = np.empty(len(chunk))
    for number in np.unique(chunk):
        members = chunk == number
        worth[members] = query @ (mean[members].mean(0) * members.sum() ** 0.5)
    return worth


def chunks(inputs: Inputs, batch: int) -> Array:
    chunk = inputs["chunk"].numpy()
    return chunk if chunk.ndim == 1 else chunk[batch]


PLANS = {"delta": delta, "dhsa": dhsa, "hip": hip, "minference": minference, "svg_route": svg_route}
EDGES = {
    "delta": {
        "last page only": {"shape": 40, "heads": 2, "page": 8, "pages": 1, "last": 1},
        "last pages only": {"shape": 40, "heads": 2, "page": 8, "pages": 2, "last": 2},
        "more pages than there are": {"shape": 40, "heads": 1, "page": 8, "pages": 9, "last": 9},
        "short last page": {"shape": 43, "heads": 4, "kv_heads": 2, "page": 8, "pages": 3, "last": 1},
        "pages of one token": {"shape": 12, "heads": 2, "page": 1, "pages": 4, "last": 1},
        "one token": {"shape": 1, "heads": 1, "page": 8, "pages": 2, "last": 1},
    },
    # Chunks of the tests have 23 tokens: where the budget ends inside of one, `test_routed_chunks.py` looks.
    "hip": HALVES,
    "minference": PROBES,
    "svg_route": {
        "both masks are full": {"shape": (2, 8), "heads": 2, "block": 4, "multiple": 9.0},
        "no query is sampled": {"shape": (2, 8), "heads": 2, "block": 4, "multiple": 1.0},
        "short last block": {"shape": (5, 13), "heads": 4, "kv_heads": 2, "block": 8, "multiple": 1.0},
    },
    "dhsa": {
        "all keys": {"shape": 92, "heads": 2, "query_block": 46, "budget": 200, "local": 0},
        "last keys only": {"shape": 92, "heads": 2, "query_block": 46, "budget": 23, "local": 23},
        "no keys": {"shape": 46, "heads": 1, "query_block": 23, "budget": 0, "local": 0},
        "short last block": {"shape": 161, "heads": 2, "query_block": 46, "budget": 46, "local": 23},
        "one token": {"shape": 1, "heads": 1, "query_block": 8, "budget": 2, "local": 1},
    },
}  # fmt: skip
"""Settings beside the small one: k = 1, k >= n, short last blocks, empty rows, single tokens."""
