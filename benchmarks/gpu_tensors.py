"""The tensors of the GPU benchmark's cases, the same in every run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu_cases import GpuCase


def random_tensors(case: GpuCase, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Standard normal queries, keys and values, [batch, heads or kv_heads, tokens, head_dim]."""
    generator = torch.Generator(device).manual_seed(0)
    kind = getattr(torch, case.dtype)
    q, k, v = (
        torch.randn(
            (case.batch, heads, case.tokens, case.head_dim), generator=generator, device=device, dtype=kind
        )
        for heads in (case.heads, case.bound.ir.kv_heads, case.bound.ir.kv_heads)
    )
    return q, k, v


def inputs_on(case: GpuCase, device: str) -> dict[str, Any]:
    """The case's declared inputs on a device."""
    return {name: torch.from_numpy(values).to(device) for name, values in case.inputs.items()}
