"""Values for the inputs that a bound pattern declares."""

from __future__ import annotations

import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR, input_sizes

RANK = 3
"""The size that stands for those of the caller's choice."""


def random_inputs(ir: BoundIR, dim: int, batch: int | None = None) -> dict[str, Tensor]:
    """Standard normal reals, negative ones for decays, and integers that grow along the tokens.

    dim: channels of keys and values.
    """
    found: dict[str, Tensor] = {}
    for declared in ir.inputs:
        sizes = [size or RANK for size in input_sizes(ir, declared.name, dim)]
        shape = [batch, *sizes] if batch else sizes
        whole = torch.arange(sizes[-1]).expand(shape) // 23
        decays = frozenset().union(*(each.decay_inputs for each in (ir, *ir.branches)))
        real = -torch.rand(shape) if declared.name in decays else torch.randn(shape)
        found[declared.name] = real if declared.kind == "real" else whole
    return found
