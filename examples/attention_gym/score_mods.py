"""FlexAttention's scores, written from their descriptions: `score_mod(score, b, h, q, kv)` is the new score.

Every function here is valid for `torch.nn.attention.flex_attention`, or returns one that is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

ScoreMod = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def unchanged(score: Tensor, b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
    """The score itself."""
    return score


def checkerboard(score: Tensor, b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
    """Half the score at odd distances, twice the score at even ones."""
    return torch.where((q - kv) % 2 == 1, score * 0.5, score * 2.0)


def relative(score: Tensor, b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
    """The score and the distance."""
    return score + (q - kv)


def anti_window(window: int) -> ScoreMod:
    """Near keys lose 1, far ones gain their distance."""

    def score_mod(score: Tensor, b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        distance = (q - kv).abs()
        return torch.where(distance <= window, score - 1, score + distance)

    return score_mod


def alibi(heads: int) -> ScoreMod:
    """A slope of 2^(-8 (h + 1) / heads)."""
    return lambda score, b, h, q, kv: score + (kv - q) * torch.exp2(-8.0 * (h.double() + 1) / heads)


def softcap(cap: float) -> ScoreMod:
    """Scores between -cap and cap."""
    return lambda score, b, h, q, kv: cap * torch.tanh(score / cap)


def sandwich_bias(length: int, channels: int = 16) -> Tensor:
    """Sandwich's sum of cosines for the distances from 1 - length to length - 1."""
    frequencies = 10000.0 ** (-torch.arange(0, channels, 2, dtype=torch.float64) / channels)
    distances = torch.arange(1 - length, length, dtype=torch.float64)
    return torch.cos(distances[:, None] * frequencies).sum(1)


def sandwich(heads: int, bias: Tensor) -> ScoreMod:
    """The bias of the distance, divided by 8 (h + 1) / heads."""
    middle = len(bias) // 2
    return lambda score, b, h, q, kv: score + bias[q - kv + middle] * (heads / (8.0 * (h.double() + 1)))


def graphormer_spatial(bias: Tensor, hops: Tensor) -> ScoreMod:
    """The bias [heads, distances] of the hops [batch, nodes, nodes]."""
    return lambda score, b, h, q, kv: score + bias[h, hops[b, q, kv]]


def graphormer_edge(bias: Tensor, edges: Tensor, length: Tensor) -> ScoreMod:
    """The mean bias [heads, steps, types] of the edges [batch, nodes, nodes, steps] within the length."""

    def score_mod(score: Tensor, b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        steps = length[b, q, kv]
        total = torch.zeros_like(score)
        for step in range(edges.shape[-1]):
            found = bias[h, step, edges[b, q, kv, step]]
            total = total + torch.where(steps > step, found, 0.0)
        return score + total / steps.clamp(min=1)

    return score_mod


def latent_attention(query_rope: Tensor, key_rope: Tensor) -> ScoreMod:
    """The product of query_rope [batch, heads, n, channels] and key_rope [batch, 1, n, channels] besides."""

    def score_mod(score: Tensor, b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        return score + (query_rope[b, h, q] * key_rope[b, h * 0, kv]).sum(-1)

    return score_mod


def paged(inner: ScoreMod, pages: Tensor, size: int) -> ScoreMod:
    """`inner` at logical positions. pages [batch, physical pages]: the logical page of each, or -1."""

    def score_mod(score: Tensor, b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        page = pages[b, kv // size]
        found = inner(score, b, h, q, page * size + kv % size)
        return torch.where(page >= 0, found, -torch.inf)

    return score_mod


def activation(offset: float = 1.0) -> ScoreMod:
    """The logarithm of GELU plus an offset, so that the softmax's numerator is GELU plus the offset."""
    return lambda score, b, h, q, kv: torch.log(torch.nn.functional.gelu(score) + offset)


def without_softmax(out: Tensor, lse: Tensor, value: Tensor, offset: float = 1.0) -> Tensor:
    """What attention with GELU as its weight returns, from the output and LSE under `activation`."""
    return out * lse.exp()[..., None] - offset * value.sum(-2, keepdim=True)
