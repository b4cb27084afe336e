"""Patterns of branches with all ways to combine and to derive, each with its formula in float64 torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import attndsl

Inputs = dict[str, Tensor]
Formula = Callable[[Tensor, Tensor, Tensor, Inputs], Tensor]
SIZE = 4
"""Tokens of a block."""


@dataclass(frozen=True)
class Case:
    """A text, its formula on q, k and v of equal heads, and the dimensions of its inputs.

    Dimensions are 'heads', 'query', 'dim'.
    """

    text: str
    formula: Formula
    inputs: dict[str, tuple[str, ...]]

    def bind(self, tokens: int, heads: int = 2, kv_heads: int = 2) -> Any:
        """The bound pattern."""
        return attndsl.parse(self.text).bind(shape=tokens, heads=heads, kv_heads=kv_heads)


def softmax(scores: Tensor, seen: Tensor, v: Tensor) -> Tensor:
    """Softmax attention in which a query that sees nothing gives 0."""
    weights = torch.softmax(scores.masked_fill(~seen, -math.inf), -1)
    out: Tensor = torch.where(seen.any(-1, keepdim=True), weights, 0.0) @ v
    return out


def products(q: Tensor, k: Tensor) -> Tensor:
    out: Tensor = q @ k.mT * q.shape[-1] ** -0.5
    return out


def band(n: int, left: int) -> Tensor:
    distance = torch.arange(n)[:, None] - torch.arange(n)
    return (distance >= 0) & (distance <= left)


def blocks(x: Tensor, pool: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.stack([pool(block) for block in torch.split(x, SIZE, 2)], 2)


def mean(x: Tensor) -> Tensor:
    return x.mean(2)


def gates(g: Tensor) -> Tensor:
    """[batch or nothing, tokens, heads] as [batch or 1, heads, tokens, 1]."""
    return torch.sigmoid(g).mT.unsqueeze(-1)


COMPRESSED = f"""
pattern compressed:
    space tokens(n)
    input near_gate: real[query, heads]
    input far_gate: real[query, heads]
    blocks b of n by {SIZE}
    branch far:
        key mean(k in b)
        value mean(v in b)
        attend (k.b + 1) * {SIZE} <= q.n + 1
    branch near:
        attend sliding(5)
    combine sigmoid(far_gate) * far + sigmoid(near_gate) * near
"""


def compressed(q: Tensor, k: Tensor, v: Tensor, inputs: Inputs) -> Tensor:
    """The compressed and the sliding branch of native sparse attention (arXiv:2502.11089), with means."""
    n = q.shape[2]
    keys, values = blocks(k, mean), blocks(v, mean)
    complete = (torch.arange(keys.shape[2]) + 1) * SIZE <= torch.arange(n)[:, None] + 1
    far = softmax(products(q, keys), complete, values)
    near = softmax(products(q, k), band(n, 5), v)
    return gates(inputs["far_gate"]) * far + gates(inputs["near_gate"]) * near


JOINT = f"""
pattern joined:
    space tokens(n)
    blocks b of n by {SIZE}
    branch far:
        key max(k in b)
        value sum(v in b)
        attend k.b < q.n // {SIZE}
    branch near:
        attend sliding(3)
    combine joint(near, far)
"""


def joined(q: Tensor, k: Tensor, v: Tensor, inputs: Inputs) -> Tensor:
    n = q.shape[2]
    keys = torch.cat([k, blocks(k, lambda x: x.amax(2))], 2)
    values = torch.cat([v, blocks(v, lambda x: x.sum(2))], 2)
    before = torch.arange(keys.shape[2] - n) < torch.arange(n)[:, None] // SIZE
    return softmax(products(q, keys), torch.cat([band(n, 3), before], 1), values)


OVERLAPPING = """
pattern overlapping:
    space tokens(n)
    branch everything:
        attend causal
    branch first:
        attend k.n < 3 and k.n < q.n
    combine joint(everything, first)
"""


def overlapping(q: Tensor, k: Tensor, v: Tensor, inputs: Inputs) -> Tensor:
    """A pair that both branches see counts twice."""
    n = q.shape[2]
    first = (torch.arange(n) < 3) & (torch.arange(n) < torch.arange(n)[:, None])
    seen = torch.cat([band(n, n), first], 1)
    return softmax(products(q, k).repeat(1, 1, 1, 2), seen, torch.cat([v, v], 2))


PROJECTED = """
pattern projected:
    space tokens(n)
    input w: real[heads, dim, dim]
    input b: real[heads, dim]
    input u: real[heads]
    branch near:
        attend sliding(2)
    branch far:
        attend causal
        gate 0.5
    combine project(near + 0.5 * far, w, b) + u[head] * identity
"""


def projected(q: Tensor, k: Tensor, v: Tensor, inputs: Inputs) -> Tensor:
    n = q.shape[2]
    near = softmax(products(q, k), band(n, 2), v)
    far = 0.5 * softmax(products(q, k), band(n, n), v)
    out = (near + 0.5 * far) @ inputs["w"].mT + inputs["b"].unsqueeze(-2)
    return out + inputs["u"][..., None, None] * v


CHAIN = f"""
pattern chain:
    space tokens(n)
    blocks b of n by {SIZE}
    branch last:
        key mean(q in b)
        value middle
        attend true
    branch first:
        query mean(q in b)
        attend k.n // {SIZE} == q.b
    branch middle:
        query mean(q in b)
        key mean(k in b)
        value first
        attend k.b <= q.b
    combine last
"""


def chain(q: Tensor, k: Tensor, v: Tensor, inputs: Inputs) -> Tensor:
    """Three branches, each over the output of the one before; the text names them in another order."""
    queries, keys = blocks(q, mean), blocks(k, mean)
    count, n = queries.shape[2], q.shape[2]
    own = torch.arange(n) // SIZE == torch.arange(count)[:, None]
    first = softmax(products(queries, k), own, v)
    middle = softmax(products(queries, keys), torch.ones(count, count).bool().tril(), first)
    return softmax(products(q, queries), torch.ones(1, 1, dtype=torch.bool), middle)


CHANNELS = """
pattern channels:
    space tokens(n)
    input t: real[heads]
    input g: real[query, heads, dim]
    query transposed(k)
    key transposed(v)
    value transposed(q)
    attend true
    score s * t[head]
    gate g
"""


def channels(q: Tensor, k: Tensor, v: Tensor, inputs: Inputs) -> Tensor:
    scores = k.mT @ v * q.shape[-1] ** -0.5 * inputs["t"][..., None, None]
    return (torch.softmax(scores, -1) @ q.mT).mT * inputs["g"].transpose(-3, -2)


CASES = {
    "compressed": Case(
        COMPRESSED, compressed, {"near_gate": ("query", "heads"), "far_gate": ("query", "heads")}
    ),
    "joined": Case(JOINT, joined, {}),
    "overlapping": Case(OVERLAPPING, overlapping, {}),
    "projected": Case(
        PROJECTED, projected, {"w": ("heads", "dim", "dim"), "b": ("heads", "dim"), "u": ("heads",)}
    ),
    "chain": Case(CHAIN, chain, {}),
    "channels": Case(CHANNELS, channels, {"t": ("heads",), "g": ("query", "heads", "dim")}),
}
