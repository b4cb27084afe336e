"""Checks a kernel's output against the denotation, in float64, on a sample of query rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import BoundIR
from attndsl.ir.evaluate import mask_rows

Array = NDArray[Any]

TOLERANCE = {"float64": 1e-10, "float32": 2e-5, "float16": 5e-3, "bfloat16": 4e-2}
"""Largest difference that rounding explains, for standard normal tensors."""


def largest_error(
    ir: BoundIR, tensors: Sequence[Array], out: Array, rows: int, inputs: Mapping[str, Array]
) -> float:
    """The largest difference over `rows` random queries, each of a random head.

    tensors: q [heads, Nq, D], k and v [kv_heads, Nk, D], arrays of any real type. out: [heads, Nq, D].
    """
    q, k, v = tensors
    chance = np.random.default_rng(0)
    group = ir.heads // ir.kv_heads
    worst = 0.0
    for row in chance.choice(ir.query_space.size, min(rows, ir.query_space.size), replace=False):
        head = int(chance.integers(ir.heads))
        visible = mask_rows(ir, head, int(row), int(row) + 1, inputs)[0]
        keys, values = k[head // group][visible], v[head // group][visible]
        exact = denotation_row(q[head, row], keys, values)
        worst = max(worst, float(np.abs(out[head, row] - exact).max(initial=0.0)))
    return worst


def denotation_row(query: Array, keys: Array, values: Array) -> Array:
    """Softmax attention of one query [D] over the keys [n, D] that it sees, float64 [Dv]; zeros for n = 0."""
    if not len(keys):
        return np.zeros(values.shape[-1])
    scores = keys.astype(np.float64) @ query.astype(np.float64) * len(query) ** -0.5
    weights = np.exp(scores - scores.max())
    result: Array = weights @ values.astype(np.float64) / weights.sum()
    return result
