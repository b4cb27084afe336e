"""Chooses a backend and compiles a bound pattern for it: what `Bound.compile` calls."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from attndsl.diagnostics import AttnBackendError, AttnWarning
from attndsl.ir.bound import BoundIR, LinearForm, decays_by_channel
from attndsl.runtime.checks import EIGHT_BIT, SUPPORTED
from attndsl.runtime.compiled import CompiledAttention, Fit
from attndsl.runtime.cpu import CpuKernels
from attndsl.runtime.kernels import ReferenceKernels
from attndsl.runtime.triton_interpreter import interprets
from attndsl.runtime.triton_kernels import compile_triton
from attndsl.schedule.build import build
from attndsl.schedule.schedule import Schedule

BACKENDS = ("auto", "cpu", "triton", "reference")
FAST = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}
"""Types that C++ and Triton kernels exist for."""

SHORT_NAMES = {
    "fp8": "float8_e4m3fn",
    "fp32": "float32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "fp64": "float64",
}


def compile_attention(
    ir: BoundIR,
    schedule: Callable[[], Schedule],
    *,
    backend: str,
    head_dim: int,
    value_dim: int,
    dtype: Any = None,
    device: str = "cpu",
) -> CompiledAttention:
    """A callable for one head size and type.

    schedule: gives the block map for C++ kernels, asked for only where one is needed. backend: 'cpu' (C++),
    'triton', 'reference' (torch) or 'auto'. For half and single precision that is Triton on GPUs (and in its
    interpreter) and C++ on the CPU; the reference otherwise. dtype: a torch type or its name, default
    float32; 8-bit tensors (e4m3) have Triton kernels of the forward pass only, whose output is bfloat16.
    Raises AttnBackendError A0701 for an unknown backend, A0704 for a type or device that the backend lacks,
    A0702 and A0703 where 'cpu' is asked for and no compiler works, A0710 to A0714 where 'triton' is asked for
    and cannot be had.
    """
    if backend not in BACKENDS:
        raise AttnBackendError(
            "A0701", f"there is no backend `{backend}`", help=f"use one of {', '.join(BACKENDS)}"
        )
    kind = parse_dtype(dtype)
    if ir.branches:
        return _of_branches(ir, backend, head_dim, value_dim, kind, device)
    if ir.over_channels:
        return _over_channels(ir, backend)
    if kind == EIGHT_BIT and backend != "triton":
        _refuse_eight_bits(backend, device)
    if backend == "cpu" and (kind not in FAST or device != "cpu"):
        raise AttnBackendError(
            "A0704", f"C++ kernels compute {', '.join(FAST.values())} on the CPU, not {kind} on {device}",
            help="use backend='reference', or convert the tensors",
        )  # fmt: skip
    taken = _automatic(kind, device) if backend == "auto" else backend
    fit = Fit(head_dim, value_dim, kind, device)
    if ir.linear is not None and ir.linear.algorithm != "tiles":
        return _in_linear_time(ir, taken, fit)
    try:
        if taken == "triton":
            kernels = compile_triton(ir, None, head_dim, value_dim, kind)
            return CompiledAttention(ir, "triton", kernels, replace(fit, device=_device_of_triton()))
        if taken == "cpu":
            return CompiledAttention(ir, "cpu", CpuKernels(schedule(), head_dim, value_dim, kind), fit)
    except AttnBackendError as error:
        if backend != "auto" or kind == EIGHT_BIT:
            raise
        _warn_once(f"no fast {device} kernels, the slow reference backend runs instead.\n{error}")
    return CompiledAttention(ir, "reference", ReferenceKernels(ir))


def _in_linear_time(ir: BoundIR, backend: str, fit: Fit) -> CompiledAttention:
    """A pattern with linear weights; the kernel of its recurrence is chosen call by call."""
    if backend == "reference" and not decays_by_channel(ir):
        return CompiledAttention(replace(ir, linear=LinearForm("tiles")), backend, ReferenceKernels(ir))
    if backend == "reference":
        raise AttnBackendError(
            "A0704", f"the reference backend knows no decays of channels, as `{ir.name}` has them",
            help="call the bound pattern's reference()",
        )  # fmt: skip
    device = _device_of_triton() if backend == "triton" else fit.device
    return CompiledAttention(ir, backend, ReferenceKernels(ir), replace(fit, device=device))


def _of_branches(
    ir: BoundIR, backend: str, head_dim: int, value_dim: int, kind: torch.dtype, device: str
) -> CompiledAttention:
    """The kernels of each branch."""
    parts = {
        each.branch: compile_attention(
            each, partial(build, each), backend=backend, head_dim=head_dim, value_dim=value_dim, dtype=kind,
            device=device,
        )
        for each in ir.branches
    }  # fmt: skip
    names = ", ".join(sorted({each.backend for each in parts.values()}))
    return CompiledAttention(ir, names, ReferenceKernels(ir), branches=parts)


def _over_channels(ir: BoundIR, backend: str) -> CompiledAttention:
    if backend not in ("auto", "reference"):
        raise AttnBackendError(
            "A0706", f"`{ir.name}` attends among channels, which products of matrices in torch compute",
            help="leave out backend",
        )  # fmt: skip
    return CompiledAttention(ir, "reference", ReferenceKernels(ir))


def _refuse_eight_bits(backend: str, device: str) -> None:
    if backend != "auto" or device != _device_of_triton():
        raise AttnBackendError(
            "A0704", "8-bit tensors are attended to by Triton kernels on GPUs only",
            help="convert them, as with .to(torch.bfloat16)",
        )  # fmt: skip


def parse_dtype(dtype: Any) -> torch.dtype:
    """A torch type from itself, its name ('bfloat16', 'bf16'), or None for float32.

    Raises AttnBackendError A0704 for types in which attention is not computed.
    """
    if dtype is None:
        return torch.float32
    name = str(dtype).removeprefix("torch.")
    known = {str(each).removeprefix("torch."): each for each in (*SUPPORTED, EIGHT_BIT)}
    found = known.get(SHORT_NAMES.get(name, name))
    if found is None:
        raise AttnBackendError(
            "A0704", f"attention is not computed in `{name}`", help=f"use one of {', '.join(known)}"
        )
    return found


def _automatic(kind: torch.dtype, device: str) -> str:
    """The backend for tensors of a type on a device."""
    if device not in ("cpu", "cuda"):
        _warn_once(f"there are no kernels for {device} tensors yet, the slow reference backend runs instead")
        return "reference"
    if kind == EIGHT_BIT:
        return "triton"
    if kind not in FAST:
        return "reference"
    return "triton" if device == "cuda" or interprets() else "cpu"


def _device_of_triton() -> str:
    return "cpu" if interprets() else "cuda"


_said: set[str] = set()


def _warn_once(message: str) -> None:
    if message not in _said:
        _said.add(message)
        warnings.warn(message, AttnWarning, stacklevel=5)
