"""Chooses a backend and compiles a bound pattern for it: what `Bound.compile` calls."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch

from attndsl.diagnostics import AttnBackendError, AttnWarning
from attndsl.ir.bound import BoundIR
from attndsl.runtime.checks import SUPPORTED
from attndsl.runtime.compiled import CompiledAttention, Fit
from attndsl.runtime.cpu import CpuKernels
from attndsl.runtime.kernels import ReferenceKernels
from attndsl.schedule.schedule import Schedule

BACKENDS = ("auto", "cpu", "reference")
FAST = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}
"""Types that C++ kernels exist for."""

SHORT_NAMES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "fp64": "float64"}


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

    schedule: gives the block map, asked for only where a kernel needs it. backend: 'cpu' (C++), 'reference'
    (torch) or 'auto', which takes C++ for half and single precision on the CPU and the reference otherwise.
    dtype: a torch type or its name, default float32. Raises AttnBackendError A0701 for an unknown backend,
    A0704 for a type or device that the backend lacks, A0702 and A0703 where 'cpu' is asked for and no
    compiler works.
    """
    if backend not in BACKENDS:
        raise AttnBackendError(
            "A0701", f"there is no backend `{backend}`", help=f"use one of {', '.join(BACKENDS)}"
        )
    kind = parse_dtype(dtype)
    if backend == "cpu" and (kind not in FAST or device != "cpu"):
        raise AttnBackendError(
            "A0704", f"C++ kernels compute {', '.join(FAST.values())} on the CPU, not {kind} on {device}",
            help="use backend='reference', or convert the tensors",
        )  # fmt: skip
    if backend == "reference" or (backend == "auto" and not _auto_takes_cpu(kind, device)):
        return CompiledAttention(ir, "reference", ReferenceKernels(ir))
    try:
        kernels = CpuKernels(schedule(), head_dim, value_dim, kind)
        return CompiledAttention(ir, "cpu", kernels, Fit(head_dim, value_dim, kind, "cpu"))
    except AttnBackendError as error:
        if backend == "cpu":
            raise
        _warn_once(f"no fast CPU kernels, the slow reference backend runs instead.\n{error}")
        return CompiledAttention(ir, "reference", ReferenceKernels(ir))


def parse_dtype(dtype: Any) -> torch.dtype:
    """A torch type from itself, its name ('bfloat16', 'bf16'), or None for float32.

    Raises AttnBackendError A0704 for types in which attention is not computed.
    """
    if dtype is None:
        return torch.float32
    name = str(dtype).removeprefix("torch.")
    known = {str(each).removeprefix("torch."): each for each in SUPPORTED}
    found = known.get(SHORT_NAMES.get(name, name))
    if found is None:
        raise AttnBackendError(
            "A0704", f"attention is not computed in `{name}`", help=f"use one of {', '.join(known)}"
        )
    return found


def _auto_takes_cpu(kind: torch.dtype, device: str) -> bool:
    if device != "cpu":
        _warn_once(f"there are no kernels for {device} tensors yet, the slow reference backend runs instead")
    return kind in FAST and device == "cpu"


_said: set[str] = set()


def _warn_once(message: str) -> None:
    if message not in _said:
        _said.add(message)
        warnings.warn(message, AttnWarning, stacklevel=5)
