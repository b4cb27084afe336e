"""Whether results on a GPU are right: beside the denotation on sampled rows, and beside one another.

Differences are relative to what is usual for a row: the more keys a query sees, the smaller its output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attndsl.cli.sample import denotation_row
from attndsl.ir.evaluate import mask_rows
from attndsl.runtime.checks import scale_of
from attndsl.runtime.decays import log_decay
from attndsl.runtime.rivals import to_array
from benchmarks.gpu_cases import GpuCase

ROWS = 16
"""Queries that are computed again in float64."""

SMALLEST = 1e-30

Tensors = tuple[Tensor, ...]
Array = NDArray[Any]


def difference(found: Tensors, wanted: Tensors) -> float:
    """The largest difference of the last dimensions, relative to what is in them or usual for them."""
    worst = 0.0
    for mine, theirs in zip(found, wanted, strict=True):
        size = theirs.abs().amax(-1).float()
        relative = (mine - theirs).abs().amax(-1) / size.clamp(min=max(float(size.median()), SMALLEST))
        worst = max(worst, float(relative.nan_to_num(torch.inf).max()))
    return worst


def row_error(case: GpuCase, tensors: Tensors, out: Tensor) -> float:
    """The largest error of sampled queries of the first batch element, relative to their outputs."""
    ir, chance = case.bound.ir, np.random.default_rng(0)
    q, k, v = (each[0] for each in tensors)
    worst = 0.0
    for row in map(int, chance.choice(case.tokens, min(ROWS, case.tokens), replace=False)):
        head = int(chance.integers(case.heads))
        visible = torch.from_numpy(mask_rows(ir, head, row, row + 1, case.inputs)[0]).to(k.device)
        row_of = linear_row(case, head, row) if case.kind == "linear" else denotation_row
        exact = row_of(*(_array(each) for each in (q[head, row], k[head][visible], v[head][visible])))
        error = np.abs(to_array(out[:1, head, row].cpu()) - exact).max()
        relative = error / max(np.abs(exact).max(), SMALLEST)
        worst = max(worst, float(np.nan_to_num(relative, nan=np.inf)))
    return worst


def linear_row(case: GpuCase, head: int, row: int) -> Callable[[Array, Array, Array], Array]:
    """What computes causal linear attention of one query, [D], in float64, from keys and values up to it."""
    ir = case.bound.ir
    like = torch.empty(1, dtype=torch.float64).expand(1, case.heads, case.tokens, case.head_dim)
    steps = log_decay(ir, {}, like)
    assert steps is not None
    sums = np.cumsum(steps[0, head, : row + 1].numpy())
    decays = np.exp(sums[-1] - sums) * scale_of(ir, None, case.head_dim)

    def compute(query: Array, keys: Array, values: Array) -> Array:
        query, keys, values = (each.astype(np.float64) for each in (query, keys, values))
        found: Array = (keys @ query * decays) @ values
        return found

    return compute


def _array(tensor: Tensor) -> Array:
    found: Array = to_array(tensor[None].cpu())
    return found
