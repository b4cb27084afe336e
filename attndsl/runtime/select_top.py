"""The largest scores of rows in C++, in one pass over scores; `codegen/runtime_top.h` says how."""

from __future__ import annotations

import ctypes
from ctypes import c_int64, c_void_p
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attndsl.codegen.standalone import standalone
from attndsl.diagnostics import AttnBackendError, AttnFileError
from attndsl.runtime.build import Function, load_kernel
from attndsl.runtime.threads import threads_for
from attndsl.settings import settings

if TYPE_CHECKING:
    from attndsl.runtime.select_lists import Lists

ROWS_OF_THREAD = 64
"""Rows that are worth a thread."""

SOURCE = """\
// The largest scores of each row.
#include "runtime_top.h"

extern "C" int attndsl_top(const attn::TopCall* call) { return attn::top(*call); }
"""


class CRows(ctypes.Structure):
    """`attn::Rows`."""

    _fields_ = (("batch_stride", c_int64), ("head_stride", c_int64), ("row_stride", c_int64))


class CTopCall(ctypes.Structure):
    """`attn::TopCall`."""

    _fields_ = (
        ("scores", c_void_p), ("classes", c_void_p), ("always", c_void_p), ("place", c_void_p),
        ("indices", c_void_p), ("counts", c_void_p),
        ("of_scores", CRows), ("of_classes", CRows), ("of_always", CRows),
        ("batches", c_int64), ("heads", c_int64), ("rows", c_int64), ("columns", c_int64),
        ("always_most", c_int64), ("most", c_int64), ("first", c_int64), ("count", c_int64),
        ("threads", c_int64),
    )  # fmt: skip


def has_kernel(scores: Tensor) -> bool:
    """Whether the kernel takes such scores. Without a compiler torch computes the same."""
    fits = scores.device.type == "cpu" and scores.dtype == torch.float32
    return fits and _kernel(settings().compiler) is not None


def top_rows(
    scores: Tensor,
    classes: Tensor | None,
    always: Tensor | None,
    place: Tensor | None,
    first: int,
    count: int,
) -> Lists:
    """The `count` largest scores of each row that are not -inf, of equal ones the first, and `always`.

    scores: float32 [batch, heads, rows, columns], whose keys are numbered from `first` on. classes: uint8
    [batch or 1, heads or 1, rows or 1, columns], 1 where an entry takes no part, 2 where it comes first.
    always: int32 [.., most], ascending lists of keys that take no part, padded with -1. place: int64 [rows],
    the row of classes and `always` for each; its own by default.
    """
    batches, heads, rows, columns = scores.shape
    scores = _with_rows(scores)
    classes, always = (None if each is None else _with_rows(each) for each in (classes, always))
    always_most = 0 if always is None else always.shape[3]
    most = min(count, columns) + always_most
    indices = torch.empty((batches, heads, rows, most), dtype=torch.int32)
    counts = torch.empty((batches, heads, rows), dtype=torch.int32)
    threads = threads_for(counts.numel() // ROWS_OF_THREAD)
    call = CTopCall(
        *map(_address, (scores, classes, always, place, indices, counts)),
        *map(_rows, (scores, classes, always)),
        batches, heads, rows, columns, always_most, most, first, count, threads,
    )  # fmt: skip
    kernel = _kernel(settings().compiler)
    assert kernel is not None, "callers ask `has_kernel`"
    kernel(ctypes.addressof(call))
    return indices, counts


def _with_rows(values: Tensor) -> Tensor:
    """The values with the numbers of a row beside one another."""
    return values if values.stride(3) == 1 else values.contiguous()


def _address(values: Tensor | None) -> int | None:
    return None if values is None else values.data_ptr()


def _rows(values: Tensor | None) -> CRows:
    """Where rows are; one row, head or element of a batch stands for all."""
    if values is None:
        return CRows(0, 0, 0)
    return CRows(*(0 if values.shape[dim] == 1 else values.stride(dim) for dim in range(3)))


@cache
def _kernel(compiler: str | None) -> Function | None:
    """None where it cannot be compiled, which is found out once. compiler: the one that is set."""
    try:
        return load_kernel(standalone(SOURCE), "top", "attndsl_top")
    except (AttnBackendError, AttnFileError):
        return None
