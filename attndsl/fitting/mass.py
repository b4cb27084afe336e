"""Attention mass kept: the part of a query's softmax probability that falls on keys a mask shows.

The probabilities are those of the model's own attention, causal if the model is. They are computed for the
sampled queries alone, block by block, so that no N x N array exists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from attndsl.diagnostics import AttnCallError
from attndsl.fitting.masks import ENTRIES, Rows, blocks, by_heads
from attndsl.fitting.sample_file import Array
from attndsl.fitting.samples import Layer


def kept_mass(
    layer: Layer, rows: Sequence[Rows], candidates: int, advance: Callable[[float], None] = lambda part: None
) -> NDArray[np.float64]:
    """The mass that each candidate keeps, mean over queries and batch, float64 [heads, candidates].

    rows: of all candidates, at the layer's queries. advance: is told the part done since the last call.
    Raises AttnCallError A0631 where scores overflow, A0635 where no query of a head sees a key.
    """
    total = np.zeros((layer.heads, candidates))
    seeing = np.zeros(layer.heads)
    groups = by_heads(rows)
    runs = blocks(len(layer.queries), layer.heads * layer.tokens)
    for batch in range(len(layer.q)):
        for run in runs:
            share = probabilities(layer, batch, run)
            seeing += (share.max(axis=2) > 0).sum(axis=1)
            for heads, group in groups.items():
                columns = [each.candidate for each in group]
                own = share if len(heads) == layer.heads else share[list(heads)]
                total[np.ix_(heads, columns)] += _sums(own, group, run)
            advance(1 / (len(runs) * len(layer.q)))
    if not seeing.all():
        head = int(np.argmin(seeing))
        raise AttnCallError(
            "A0635",
            f"no sampled query of head {head} of layer {layer.number} sees a key",
            help="leave this layer out, or capture other data",
        )
    return total / seeing[:, None]


def probabilities(layer: Layer, batch: int, run: slice) -> NDArray[np.float32]:
    """Softmax probabilities of some sampled queries, float32 [heads, rows, tokens]; 0 for a blind query."""
    queries = layer.queries[run]
    q = layer.q[batch, :, run].reshape(layer.kv_heads, -1, layer.q.shape[3])
    with np.errstate(over="ignore", invalid="ignore"):
        scores: Array = (q @ layer.k[batch].swapaxes(1, 2)) * np.float32(layer.scale)
    scores = scores.reshape(layer.heads, len(queries), layer.tokens)
    if not np.isfinite(scores).all():
        raise AttnCallError(
            "A0631",
            f"the scores of layer {layer.number} are too large for float32",
            help="check the scale and the samples",
        )
    hidden = _hidden(layer, batch, run)
    if hidden is not None:
        np.copyto(scores, -np.inf, where=hidden)
    most = scores.max(axis=2, keepdims=True)
    np.exp(scores - np.where(np.isfinite(most), most, 0), out=scores)
    sums = scores.sum(axis=2, keepdims=True)
    np.divide(scores, sums, out=scores, where=sums > 0)
    return scores


def _hidden(layer: Layer, batch: int, run: slice) -> NDArray[np.bool_] | None:
    """The keys that the model itself hides, [heads or 1, rows, tokens]; None for none."""
    later = np.arange(layer.tokens) > layer.queries[run, None] if layer.causal else None
    if layer.mask is None:
        return None if later is None else later[None]
    hidden: NDArray[np.bool_] = ~layer.mask[min(batch, len(layer.mask) - 1), :, run]
    return hidden if later is None else hidden | later


def _sums(share: NDArray[np.float32], group: Sequence[Rows], run: slice) -> Array:
    """The mass on visible keys summed over queries, [heads, masks]: one matrix product for many masks."""
    flat = share.reshape(len(share), -1)
    most = max(1, ENTRIES // flat.shape[1])
    parts = []
    for first in range(0, len(group), most):
        masks = [each.unpack(run.start, run.stop).reshape(-1) for each in group[first : first + most]]
        parts.append(flat @ np.stack(masks).astype(np.float32).T)
    return np.concatenate(parts, axis=1)
