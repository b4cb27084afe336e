"""Patterns with scores and weights of every kind, and values for their inputs: what tests of kernels run."""

from __future__ import annotations

import torch
from torch import Tensor

import attndsl
from attndsl.ir.bound import BoundIR
from tests.patterns.inputs import random_inputs

CLAUSES = {
    "distance": "attend causal\n    score s - slope(head, heads) * (q.n - k.n)",
    "cap": "attend sliding(9)\n    score 3.0 * tanh(s / 3.0)",
    "temperature": "input t: real[heads]\n    attend sliding(9)\n    score s * t[head] + 0.1 * q.n",
    "biases of both sides": "input b: real[heads, key]\n    input c: real[heads, query]\n"
    "    attend sliding(9, 3)\n    score s * (1.0 + 0.5 * c[head, q]) + b[head, k]",
    "choice": "attend causal\n    score s if q.n % 3 == 0 or s > 0.0 else 0.5 * s",
    "bounds": "attend causal\n    score clamp(s, -1.0, 1.0) + abs(s) * min(0.1, s)",
    "powers": "attend causal\n"
    "    score 0.1 * s ** 2 - 0.01 * s ** 3 + sqrt(abs(s) + 1.0) + log(abs(s) + 2.0) + erf(s)",
    "sigmoid": "attend sliding(9, 3)\n    weight sigmoid(s)",
    "no normaliser": "attend sliding(9, 3)\n    weight relu(s)\n    normalize none",
    "softplus of a score": "attend causal\n    score s - 0.1 * (q.n - k.n)\n    weight softplus(s)",
    "linear": "attend causal\n    weight s\n    normalize none",
    "exponentials without a normaliser": "attend causal\n    normalize none",
    "hidden by scores": "input hides: real[heads, query]\n    attend true\n    score s + hides[head, q]",
}
TWO_SEGMENTS = """pattern p(window: int):
    space image(y, x) ++ text(n)
    input table: real[heads, 2 * window - 1]
    input w: real[key]
    attend
        image -> image: same_window(window)
        else: true
    score tanh(s) + table[head, q.index % window - k.index % window + window - 1] - w[k] * (q.index - k.index)
"""


def bound(name: str, tokens: int = 40, heads: int = 4, kv_heads: int = 2) -> BoundIR:
    """One of the patterns above."""
    text = f"pattern p:\n    space tokens(n)\n    {CLAUSES[name]}\n"
    ir: BoundIR = attndsl.parse(text).bind(shape=tokens, heads=heads, kv_heads=kv_heads).ir
    return ir


def two_segments() -> BoundIR:
    """Tiles of an image and of a text, whose scores count positions in the whole space."""
    ir: BoundIR = attndsl.parse(TWO_SEGMENTS).bind(shape=(8, 8), text=5, heads=2, window=4).ir
    return ir


def inputs_of(ir: BoundIR, batch: int | None = None) -> dict[str, Tensor]:
    """Float64 values for the inputs; -inf among those of `hides`."""
    torch.manual_seed(1)
    found = {name: value.double() for name, value in random_inputs(ir, 8, batch).items()}
    if "hides" in found:
        found["hides"] = found["hides"].masked_fill(found["hides"] < -0.5, -torch.inf)
    return found
