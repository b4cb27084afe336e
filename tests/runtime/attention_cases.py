"""Shared by the tests of kernels: random tensors, attention written out in torch, and the error rule.

The rule is FlashAttention's: a kernel may err at most twice as much as the plain computation in the same
precision, both measured against float64, plus the rounding of the result itself.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from attndsl.ir.bound import BoundIR
from attndsl.ir.evaluate import mask_rows
from attndsl.runtime.compile import compile_attention
from attndsl.runtime.compiled import CompiledAttention
from attndsl.schedule.build import build

Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def tensors(
    ir: BoundIR,
    batch: int = 1,
    dim: int = 16,
    value_dim: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensors:
    """Standard normal q, k, v for a bound pattern, the same every time."""
    generator = torch.Generator().manual_seed(ir.query_space.size * 1000 + dim)
    queries, keys = ir.query_space.size, ir.key_space.size
    shapes = [(ir.heads, queries, dim), (ir.kv_heads, keys, dim), (ir.kv_heads, keys, value_dim or dim)]
    q, k, v = (torch.randn(batch, *shape, generator=generator).to(dtype) for shape in shapes)
    return q, k, v


def mask_of(ir: BoundIR, **inputs: np.ndarray) -> torch.Tensor:
    """The mask of every head, bool [heads, Nq, Nk], by direct evaluation."""
    rows = ir.query_space.size
    return torch.from_numpy(np.stack([mask_rows(ir, head, 0, rows, inputs) for head in range(ir.heads)]))


def plain(
    given: Sequence[torch.Tensor], mask: torch.Tensor, scale: float | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Output and log-sum-exp, written out in the precision of the tensors."""
    q, k, v = given
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    scores = (q @ k.mT) * (q.shape[-1] ** -0.5 if scale is None else scale)
    scores = scores.masked_fill(~mask, -torch.inf)
    lse = torch.logsumexp(scores, -1)
    weights = torch.where(mask.any(-1, keepdim=True), torch.softmax(scores, -1), 0.0).to(q.dtype)
    return weights @ v, lse


def assert_inside_error_rule(
    out: torch.Tensor,
    lse: torch.Tensor,
    given: Sequence[torch.Tensor],
    mask: torch.Tensor,
    scale: float | None = None,
) -> None:
    """Compare with float64, overall and for every group of 16 queries."""
    wanted, wanted_lse = plain([tensor.double() for tensor in given], mask, scale)
    same, _ = plain(given, mask, scale)
    rounding = 2 * torch.finfo(out.dtype).eps * float(wanted.abs().max())
    for first in range(0, out.shape[2], 16):
        part = slice(first, first + 16)
        error = (out[:, :, part].double() - wanted[:, :, part]).abs().max()
        allowed = 2 * (same.double() - wanted).abs().max() + rounding
        assert error <= allowed, f"queries {first}..: error {error:.3g}, allowed {allowed:.3g}"
    torch.testing.assert_close(lse.double(), wanted_lse, rtol=1e-5, atol=1e-4)


@functools.cache
def has_compiler() -> bool:
    """Whether kernels can be built here."""
    from attndsl.diagnostics import AttnBackendError
    from attndsl.runtime.compiler import find_compiler

    try:
        find_compiler()
    except AttnBackendError:
        return False
    return True


needs_compiler = pytest.mark.skipif(not has_compiler(), reason="there is no C++ compiler")


def cpu_kernel(
    ir: BoundIR,
    q_tile: int | tuple[int, ...],
    kv_tile: int | tuple[int, ...],
    dim: int = 16,
    value_dim: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> CompiledAttention:
    """The C++ kernel of a bound pattern with these tiles."""
    schedule = build(ir, q_tile, kv_tile)
    return compile_attention(
        ir, lambda: schedule, backend="cpu", head_dim=dim, value_dim=value_dim or dim, dtype=dtype
    )
