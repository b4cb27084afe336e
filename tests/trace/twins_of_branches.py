"""The library's patterns of branches, derived tensors and flows as Python functions."""

from __future__ import annotations

from typing import Literal

import attndsl
from attndsl import Attention, Input, PerHead, Position, lang
from attndsl.lang import ceildiv, extent, head, require


@attndsl.jit
def agent(q: Position, k: Position, *, agents: int) -> Attention:
    require(agents >= 1, "agents must be at least 1")
    return Attention(
        blocks={"group": ("n", ceildiv(extent("n"), lang.max(agents, 1)))},
        branches={
            "gather": Attention(query="mean(q in group)"),
            "spread": Attention(key="mean(q in group)", value="gather"),
        },
        combine=lambda spread: spread,
    )


@attndsl.jit(space="tokens(axes...)")
def channel_attention(q: Position, k: Position) -> Attention:
    return Attention(query="transposed(k)", key="transposed(v)", value="transposed(q)")


@attndsl.jit(space="tokens(axes...)")
def flowformer(q: Position, k: Position) -> Attention:
    return Attention(feature="sigmoid", weight=lambda s: s, normalize="flow")


@attndsl.jit
def lizard(
    q: Position, k: Position, *, window: int, meta: int = 4, g: Input[float, Literal["heads, tokens"]]
) -> Attention:
    require(window >= 1, "window must be at least 1")
    require(meta >= 0, "meta must be 0 or more")
    decay = {"n": lang.exp(g)}
    return Attention(
        branches={
            "far": Attention(lang.causal(), feature="softmax", weight=lambda s: s, decay=decay),
            "near": lang.causal() & ((k.n < meta) | (q.n - k.n < window)),
        },
        combine=lambda far, near: far + near,
    )


@attndsl.jit(space="tokens(axes...)")
def soft_pag(q: Position, k: Position, *, u: PerHead[float]) -> Attention:
    return Attention(
        branches={"attention": True},
        combine=lambda attention: (1.0 - u[head]) * attention + u[head] * lang.own_value,
    )


TWINS = {value.name: value for value in list(globals().values()) if isinstance(value, attndsl.TracedPattern)}
"""All of them, by name."""
