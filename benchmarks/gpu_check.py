"""Whether results on a GPU are right: beside the denotation on sampled rows, and beside one another.

Differences are relative to what is usual for a row: the more keys a query sees, the smaller its output.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from attndsl.cli.sample import denotation_row
from attndsl.ir.evaluate import mask_rows
from attndsl.runtime.rivals import to_array
from benchmarks.gpu_cases import GpuCase

ROWS = 16
"""Queries that are computed again in float64."""

SMALLEST = 1e-30

Tensors = tuple[Tensor, ...]


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
        exact = denotation_row(
            *(to_array(each[None].cpu()) for each in (q[head, row], k[head][visible], v[head][visible]))
        )
        error = np.abs(to_array(out[:1, head, row].cpu()) - exact).max()
        relative = error / max(np.abs(exact).max(), SMALLEST)
        worst = max(worst, float(np.nan_to_num(relative, nan=np.inf)))
    return worst
