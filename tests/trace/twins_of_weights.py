"""The library's patterns of scores, weights, sinks and gates as Python functions."""

from __future__ import annotations

from typing import Literal

import attndsl
from attndsl import Attention, Input, Position, Traced, lang
from attndsl.lang import extent, head, heads, require, same_block


@attndsl.jit
def alibi(q: Position, k: Position) -> Attention:
    return Attention(lang.causal(), score=lambda s: s - lang.slope(head, heads) * (q.n - k.n))


@attndsl.jit
def gated(q: Position, k: Position, *, left: int, g: Input[float, Literal["query, heads, dim"]]) -> Attention:
    return Attention(lang.sliding(left), gate=lang.sigmoid(g))


@attndsl.jit
def gated_headwise(
    q: Position, k: Position, *, left: int, g: Input[float, Literal["query, heads"]]
) -> Attention:
    return Attention(lang.sliding(left), gate=lang.sigmoid(g))


@attndsl.jit
def low_rank_bias(
    q: Position,
    k: Position,
    bq: Input[float, Literal["heads, query, r"]],
    bk: Input[float, Literal["kv_heads, key, r"]],
) -> Attention:
    return Attention(score=lambda s: s + lang.dot(bq, bk))


@attndsl.jit(space="image(y, x)")
def relative_bias(
    q: Position,
    k: Position,
    *,
    window: int,
    table: Input[float, Literal["heads, 2 * window - 1, 2 * window - 1"]],
) -> Attention:
    require(window >= 1, "window must be at least 1")
    row = q.y % window - k.y % window + window - 1
    column = q.x % window - k.x % window + window - 1
    return Attention(
        same_block(q.y, k.y, window) & same_block(q.x, k.x, window),
        score=lambda s: s + table[head, row, column],
    )


@attndsl.jit
def relu_attention(q: Position, k: Position, *, causal: bool = True) -> Attention:
    def weight(s: Traced) -> Traced:
        return lang.relu(s) / extent("n")

    return Attention(~causal | (k.n <= q.n), weight=weight, normalize="none")


@attndsl.jit
def sigmoid_attention(q: Position, k: Position, *, bias: float = 0.0, causal: bool = True) -> Attention:
    seen = ~causal | (k.n <= q.n)
    return Attention(seen, weight=lambda s: lang.sigmoid(s + bias), normalize="none")


@attndsl.jit
def sink_logits(q: Position, k: Position, *, sink: Input[float, Literal["heads"]]) -> Attention:
    return Attention(lang.causal(), sink=sink[head])


@attndsl.jit
def softcap(q: Position, k: Position, *, cap: float) -> Attention:
    require(cap > 0.0, "cap must be positive")
    return Attention(lang.causal(), score=lambda s: cap * lang.tanh(s / cap))


@attndsl.jit
def softplus_attention(q: Position, k: Position, *, causal: bool = True) -> Attention:
    return Attention(~causal | (k.n <= q.n), weight=lang.softplus)


TWINS = {value.name: value for value in list(globals().values()) if isinstance(value, attndsl.TracedPattern)}
"""All of them, by name."""
