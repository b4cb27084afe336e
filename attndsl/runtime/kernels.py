"""What a backend provides: forward and backward kernels, as functions of tensors that have been checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR, pairs_only
from attndsl.runtime.reference import reference
from attndsl.runtime.reference_gradients import reference_gradients

Inputs = Mapping[str, Tensor]


@dataclass(frozen=True)
class Saved:
    """What the backward pass needs of the forward pass."""

    q: Tensor
    k: Tensor
    v: Tensor
    out: Tensor
    lse: Tensor


@dataclass(frozen=True)
class Wanted:
    """Which gradients to compute: of q, and of k and v."""

    q: bool
    kv: bool

    def empty(self, saved: Saved) -> tuple[Tensor, Tensor, Tensor]:
        """New contiguous tensors for gradients of q, k and v; empty ones for those that are not wanted."""
        needed = ((saved.q, self.q), (saved.k, self.kv), (saved.v, self.kv))
        q, k, v = (
            torch.empty(each.shape if wanted else 0, dtype=each.dtype, device=each.device)
            for each, wanted in needed
        )
        return q, k, v


class Kernels(Protocol):
    """The kernels of one pattern. inputs: declared inputs in order, [tokens] or [batch, tokens]."""

    def forward(self, scale: float, inputs: Inputs, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Output [batch, heads, Nq, Dv] and log-sum-exp [batch, heads, Nq], both contiguous."""

    def backward(
        self,
        scale: float,
        inputs: Inputs,
        saved: Saved,
        out_gradient: Tensor,
        lse_gradient: Tensor,
        wanted: Wanted,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The gradients of q, k and v, contiguous; empty tensors for those that are not wanted."""


class ReferenceKernels:
    """The reference backend behind the interface of kernels."""

    def __init__(self, ir: BoundIR) -> None:
        self.ir = pairs_only(ir)

    def forward(self, scale: float, inputs: Inputs, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """See `Kernels`."""
        with torch.no_grad():
            out, lse = reference(self.ir, q, k, v, scale=scale, return_lse=True, **inputs)
        return out.contiguous(), lse.contiguous()

    def backward(
        self,
        scale: float,
        inputs: Inputs,
        saved: Saved,
        out_gradient: Tensor,
        lse_gradient: Tensor,
        wanted: Wanted,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Kernels`."""
        given = (saved.q, saved.k, saved.v)
        found = reference_gradients(self.ir, *given, scale, inputs, out_gradient, lse_gradient)
        needed = (wanted.q, wanted.kv, wanted.kv)
        q, k, v = (each if need else each.new_empty(0) for each, need in zip(found, needed, strict=True))
        return q, k, v
