"""Joins what gathered tiles computed of each query; `codegen/runtime_merge.h` says how."""

from __future__ import annotations

import ctypes
from ctypes import c_int64, c_void_p
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attndsl.codegen.cpp import ELEMENTS
from attndsl.codegen.standalone import standalone
from attndsl.ir.bound import BoundIR
from attndsl.runtime.build import Function, load_kernel
from attndsl.runtime.threads import threads_for

SOFTMAX, WEIGHTED, SUM = range(3)
"""`attn::Join`."""


class CMergeCall(ctypes.Structure):
    """`attn::MergeCall`."""

    _fields_ = (
        ("parts", c_void_p), ("totals", c_void_p), ("starts", c_void_p),
        ("result", c_void_p), ("result_totals", c_void_p),
        ("queries", c_int64), ("channels", c_int64), ("result_stride", c_int64),
        ("join", c_int64), ("threads", c_int64),
    )  # fmt: skip


def join_of(ir: BoundIR) -> int:
    """How the outputs of parts of the keys make the output of all."""
    if ir.weighting.is_softmax:
        return SOFTMAX
    return SUM if ir.weighting.normalize == "none" else WEIGHTED


def merge(
    parts: Tensor, totals: Tensor, starts: NDArray[np.int64], out: Tensor, lse: Tensor, join: int
) -> None:
    """Write the output [queries, channels] and LSE [queries] of one head, whose rows are contiguous.

    parts: float32 [slots, channels], the rows from starts[n] to starts[n + 1] of query n; totals: the LSE or
    the sum of weights of each, float32 [slots].
    """
    _merge(parts, totals, starts, out, lse, join)


def add_up(parts: Tensor, starts: NDArray[np.int64], result: Tensor) -> None:
    """Write the sums of each query's rows to `result` [queries, channels]."""
    _merge(parts, None, starts, result, None, SUM)


def _merge(
    parts: Tensor, totals: Tensor | None, starts: Any, result: Tensor, result_totals: Tensor | None, join: int
) -> None:
    queries, channels = result.shape
    call = CMergeCall(
        parts.data_ptr(),
        None if totals is None else totals.data_ptr(),
        starts.ctypes.data,
        result.data_ptr(),
        None if result_totals is None else result_totals.data_ptr(),
        queries, channels, result.stride(0), join, threads_for(queries // 64),
    )  # fmt: skip
    _function(str(result.dtype).removeprefix("torch."))(ctypes.addressof(call))


@cache
def _function(dtype: str) -> Function:
    source = f"""\
// Joins the parts of queries in {dtype}.
#include "runtime_merge.h"

extern "C" int attndsl_merge(const attn::MergeCall* call) {{
    return attn::merge<{"" if dtype == "float32" else "attn::"}{ELEMENTS[dtype]}>(*call);
}}
"""
    return load_kernel(standalone(source), f"merge_{dtype}", "attndsl_merge")
