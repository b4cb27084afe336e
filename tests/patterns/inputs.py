"""Values for the inputs that a bound pattern declares."""

from __future__ import annotations

import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR, input_sizes

RANK = 3
"""The size that stands for those of the caller's choice."""


def random_inputs(ir: BoundIR, dim: int, batch: int | None = None) -> dict[str, Tensor]:
    """Standard normal reals, and integers that grow along the tokens. dim: channels of values."""
    found: dict[str, Tensor] = {}
    for declared in ir.inputs:
        sizes = [size or RANK for size in input_sizes(ir, declared.name, dim)]
        shape = [batch, *sizes] if batch else sizes
        whole = torch.arange(sizes[-1]).expand(shape) // 23
        found[declared.name] = torch.randn(shape) if declared.kind == "real" else whole
    return found
