"""The library's patterns with linear weights as Python functions."""

from __future__ import annotations

import math
from typing import Literal

import attndsl
from attndsl import Attention, Input, PerAxis, Position, lang
from attndsl.lang import head, heads, require, where

ORDER = "layer is the number of one of the layers, from 0"


@attndsl.jit
def gla(q: Position, k: Position, *, g: Input[float, Literal["heads, tokens, dim"]]) -> Attention:
    return Attention(lang.causal(), weight=lambda s: s, decay={"n": lang.exp(g)}, normalize="none")


@attndsl.jit
def simple_gla(q: Position, k: Position, *, g: Input[float, Literal["heads, tokens"]]) -> Attention:
    return Attention(lang.causal(), weight=lambda s: s, decay={"n": lang.exp(g)}, normalize="none")


@attndsl.jit
def lightning(q: Position, k: Position, *, layer: int = 0, layers: int = 1) -> Attention:
    require((layer >= 0) & (layer < layers), ORDER)
    depth = where(layers == 1, 1.0, 1.0 - layer / lang.max(layers - 1, 1) + 1e-5)
    keep = lang.exp(-lang.slope(head, heads) * depth)
    return Attention(lang.causal(), scale=1, weight=lambda s: s, decay={"n": keep}, normalize="none")


@attndsl.jit
def lightning_fla(q: Position, k: Position, *, layer: int = 0, layers: int = 1) -> Attention:
    require((layer >= 0) & (layer < layers), ORDER)
    keep = lang.exp(-8.0 * head / heads * (1.0 - layer / layers))
    return Attention(lang.causal(), weight=lambda s: s, decay={"n": keep}, normalize="none")


@attndsl.jit
def retention(q: Position, k: Position) -> Attention:
    keep = 1.0 - 2.0 ** (-5 - head)
    return Attention(lang.causal(), weight=lambda s: s, decay={"n": keep}, normalize="none")


@attndsl.jit
def linear(
    q: Position,
    k: Position,
    *,
    feature: Literal["elu1", "relu", "softmax", "identity"] = "elu1",
    causal: bool = False,
) -> Attention:
    return Attention(~causal | (k.n <= q.n), scale=1, feature=feature, weight=lambda s: s)


@attndsl.jit(space="tokens(axes...)")
def scatter_window(
    q: Position, k: Position, *, window: PerAxis[int], feature: Literal["relu", "elu1"] = "relu"
) -> Attention:
    seen = lang.same_window(window)
    return Attention(seen, scale=1, feature=feature, weight=lambda s: s, sink=math.log(1e-6))


TWINS = {value.name: value for value in list(globals().values()) if isinstance(value, attndsl.TracedPattern)}
"""All of them, by name."""
