"""Triton kernels beside float64, forward and backward: one case, and by how much it errs.

The same cases run in Triton's interpreter on the CPU and on a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attndsl.codegen.triton_configuration import Configuration, Direction
from attndsl.codegen.triton_targets import TARGETS
from attndsl.ir.bound import BoundIR
from attndsl.ir.evaluate import mask_rows
from attndsl.runtime.checks import output_type
from attndsl.runtime.kernels import Saved, Wanted
from attndsl.runtime.reference import reference
from attndsl.runtime.triton_device import current_target
from attndsl.runtime.triton_kernels import TritonKernels
from attndsl.runtime.triton_problem import Problem
from attndsl.schedule.build import build
from attndsl.schedule.tile_arguments import Extents

Layout = Literal["contiguous", "heads last", "expanded", "gaps"]
DIRECTIONS: tuple[Direction, ...] = ("forward", "delta", "dq", "dk_dv")
DEFAULT = Configuration(64, 64, warps=4, stages=2)
ROWS = 64
"""Rows of a part of a result that has to stay inside the error rule by itself."""


@dataclass(frozen=True)
class Case:
    """A pattern with tiles and tensors.

    layout: how q, k and v lie in memory. configuration: how kernels are built, None for the backend's own
    choice, tiles included. dtype: 8-bit tensors have no gradients.
    """

    ir: BoundIR
    q_tile: Extents | None = None
    kv_tile: Extents | None = None
    step: Extents | None = None
    dim: int = 16
    value_dim: int = 16
    dtype: str = "float32"
    batch: int = 1
    scale: float | None = None
    layout: Layout = "contiguous"
    configuration: Configuration | None = DEFAULT
    inputs: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    gradients: bool = True
    device: str = "cpu"


@dataclass(frozen=True)
class Found:
    """The largest difference from float64 of each result, and that of plain torch in the same precision.

    sizes: the largest value of each result. Each has a number for the whole, then one for every `ROWS` rows.
    """

    errors: dict[str, list[float]]
    plain: dict[str, list[float]]
    sizes: dict[str, list[float]]


def assert_close(case: Case, found: Found) -> None:
    """FlashAttention's rule: at most twice the error of the same precision, and rounding of the result.

    It holds for the whole and for every part, whose own error and size count: a good mean hides no bad tile.
    """
    rounding = torch.finfo(output_type(getattr(torch, case.dtype))).eps
    for name, errors in found.errors.items():
        factor = (4 if name in ("out", "lse") else 32) * rounding
        for part, error in enumerate(errors):
            allowed = 2 * found.plain[name][part] + factor * _scale(name, found.sizes[name], part)
            rows = f"rows {(part - 1) * ROWS}.." if part else "all rows"
            assert error <= allowed, f"{name}, {rows}: error {error:.3g}, allowed {allowed:.3g}"


def _scale(name: str, sizes: list[float], part: int) -> float:
    """What rounding is relative to: a part's own values, for sums of both signs those of the whole."""
    return max(sizes[part], 1e-2 * sizes[0]) if name == "out" else max(sizes[0], 1.0)


def run(case: Case) -> Found:
    """Run the kernels of a case."""
    torch.manual_seed(case.ir.query_space.size)
    q, k, v = _tensors(case)
    scale = case.dim**-0.5 if case.scale is None else case.scale
    inputs = {name: torch.from_numpy(value).to(case.device) for name, value in case.inputs.items()}
    kernels = _kernels(case)
    out, lse = kernels.forward(scale, inputs, q, k, v)
    results = {"out": out, "lse": lse}
    assert not out.isnan().any()
    assert not lse.isnan().any()
    given = torch.randn(out.shape, device=q.device).to(out.dtype), torch.randn(lse.shape, device=q.device)
    if case.gradients:
        saved = Saved(q, k, v, out, lse)
        found = kernels.backward(scale, inputs, saved, *given, Wanted(q=True, kv=True))
        results |= dict(zip(("dq", "dk", "dv"), found, strict=True))
    exact = _reference(case, scale, inputs, [each.double() for each in (q, k, v)], given)
    half = output_type(q.dtype)
    plain = _reference(case, scale, inputs, [each.to(half) for each in (q, k, v)], given, plain=True)
    return Found(
        {name: _in_parts(_difference(results[name], exact[name])) for name in results},
        {name: _in_parts(_difference(plain[name], exact[name])) for name in results},
        {name: _in_parts(_finite(exact[name])) for name in results},
    )


def _kernels(case: Case) -> TritonKernels:
    target = current_target() if case.device == "cuda" else TARGETS["sm90"]
    kind = getattr(torch, case.dtype)
    if case.configuration is None:
        return TritonKernels(Problem(case.ir, case.dim, case.value_dim, kind, target))
    schedule = build(case.ir, case.q_tile, case.kv_tile, case.step)
    problem = Problem(case.ir, case.dim, case.value_dim, kind, target, schedule)
    return TritonKernels(problem, dict.fromkeys(DIRECTIONS, case.configuration))


def _tensors(case: Case) -> list[Tensor]:
    ir, kind = case.ir, getattr(torch, case.dtype)
    shapes = (
        (case.batch, ir.heads, ir.query_space.size, case.dim),
        (case.batch, ir.kv_heads, ir.key_space.size, case.dim),
        (case.batch, ir.kv_heads, ir.key_space.size, case.value_dim),
    )
    return [_laid_out(torch.randn(shape, device=case.device), case.layout).to(kind) for shape in shapes]


def _laid_out(tensor: Tensor, layout: Layout) -> Tensor:
    """The tensor with other strides; `to` keeps them."""
    match layout:
        case "heads last":
            return tensor.transpose(1, 2).contiguous().transpose(1, 2)
        case "expanded":
            return tensor[:, :1].expand(tensor.shape)
        case "gaps":
            return torch.stack([tensor, tensor + 1], dim=-1)[..., 0]
    return tensor


def _reference(
    case: Case,
    scale: float,
    inputs: Mapping[str, Tensor],
    tensors: list[Tensor],
    given: tuple[Tensor, Tensor],
    plain: bool = False,
) -> dict[str, Tensor]:
    """Results and gradients by the denotation; in the tensors' own precision if `plain`."""
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    q, k, v = leaves
    if plain:
        out, lse = _plain(case.ir, q, k, v, scale, inputs)
    else:
        out, lse = reference(case.ir, q, k, v, scale=scale, return_lse=True, **inputs)
    results = {"out": out.detach(), "lse": lse.detach()}
    if case.gradients:
        finite = torch.isfinite(lse)
        total = (out * given[0].to(out.dtype)).sum() + (torch.where(finite, lse, 0.0) * given[1]).sum()
        found = torch.autograd.grad(total, leaves, allow_unused=True)
        pairs = zip(("dq", "dk", "dv"), leaves, found, strict=True)
        results |= {name: torch.zeros_like(leaf) if dx is None else dx for name, leaf, dx in pairs}
    return results


def _plain(
    ir: BoundIR, q: Tensor, k: Tensor, v: Tensor, scale: float, inputs: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Attention written out in the precision of the tensors."""
    group, rows = ir.heads // ir.kv_heads, ir.query_space.size
    arrays = {name: value.cpu().numpy() for name, value in inputs.items()}
    masks = [
        np.stack([mask_rows(ir, h, 0, rows, _of(arrays, b)) for h in range(ir.heads)]) for b in range(len(q))
    ]
    mask = torch.from_numpy(np.stack(masks)).to(q.device)
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    scores = ((q @ k.mT) * scale).masked_fill(~mask, -torch.inf)
    seen = mask.any(-1, keepdim=True)
    scores = torch.where(seen, scores, 0.0)
    weights = torch.where(seen, torch.softmax(scores, -1), 0.0).to(q.dtype)
    lse = torch.where(seen[..., 0], torch.logsumexp(scores.float(), -1), -torch.inf)
    return weights @ v, lse


def _of(arrays: Mapping[str, Any], batch: int) -> dict[str, Any]:
    return {name: array[batch] if array.ndim == 2 else array for name, array in arrays.items()}


def _difference(found: Tensor, wanted: Tensor) -> Tensor:
    """Differences; infinite where one is NaN or only one of both is infinite."""
    one, other = found.double(), wanted.double()
    same = one == other
    return torch.where(same, 0.0, (one - other).abs()).nan_to_num(torch.inf)


def _finite(tensor: Tensor) -> Tensor:
    return torch.where(torch.isfinite(tensor), tensor, 0.0).abs().double()


def _in_parts(sizes: Tensor) -> list[float]:
    """The largest of all, then of every `ROWS` rows. sizes: [batch, heads, rows, ...]."""
    if not sizes.numel():
        return [0.0]
    return [float(part.max()) for part in (sizes, *torch.split(sizes, ROWS, dim=2))]
