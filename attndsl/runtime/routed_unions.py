"""The keys that the queries of each tile list, as tiles of their own; `codegen/runtime_lists.h` says how."""

from __future__ import annotations

import ctypes
from ctypes import c_int64, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.codegen.standalone import standalone
from attndsl.runtime.build import Function, load_kernel
from attndsl.runtime.routed_tiles import TokenTiles
from attndsl.runtime.threads import threads_for

KEYS = 64
"""Keys of a tile: a query's are the bits of one number."""


class CUnionCall(ctypes.Structure):
    """`attn::UnionCall`."""

    _fields_ = (
        ("lists", c_void_p), ("row_of", c_void_p),
        ("unit_tokens", c_void_p), ("tokens", c_void_p), ("counts", c_void_p),
        ("most", c_int64), ("width", c_int64), ("tokens_of_keys", c_int64),
        ("tiles", c_int64), ("capacity", c_int64),
        ("first", c_void_p), ("keys", c_void_p), ("key_counts", c_void_p), ("listed", c_void_p),
        ("threads", c_int64),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Unions:
    """The key tiles of all q tiles, one q tile's after another's.

    first: int64 [q tiles + 1]. keys: int32 [key tiles, 64]; counts: int32 [key tiles]. listed: uint64 [key
    tiles, capacity of q tiles], the keys that each query lists as bits.
    """

    first: NDArray[np.int64]
    keys: NDArray[np.int32]
    counts: NDArray[np.int32]
    listed: NDArray[np.uint64]


def unite(
    lists: NDArray[np.int32],
    row_of: NDArray[np.int64],
    unit_tokens: NDArray[np.int32],
    keys: int,
    queries: TokenTiles,
) -> Unions:
    """The union of the lists of each q tile.

    lists: [rows, most], contiguous; row_of: the row of each query. unit_tokens: [units, width], each padded
    with -1. keys: number of tokens.
    """
    tiles, capacity = queries.tokens.shape
    first = np.zeros(tiles + 1, dtype=np.int64)
    call = CUnionCall(
        *map(_address, (lists, row_of, unit_tokens, queries.tokens, queries.counts)),
        lists.shape[1], unit_tokens.shape[1], keys, tiles, capacity, _address(first), None, None, None,
        threads_for(tiles),
    )  # fmt: skip
    _function()(ctypes.addressof(call))
    np.cumsum(first, out=first)
    count = int(first[-1])
    found = Unions(
        first,
        np.empty((count, KEYS), dtype=np.int32),
        np.empty(count, dtype=np.int32),
        np.empty((count, capacity), dtype=np.uint64),
    )
    if count:
        call.keys, call.key_counts, call.listed = map(_address, (found.keys, found.counts, found.listed))
        _function()(ctypes.addressof(call))
    return found


def _address(array: Any) -> int:
    return int(array.ctypes.data)


@cache
def _function() -> Function:
    source = """\
// Unites the lists of the queries of each tile.
#include "runtime_lists.h"

extern "C" int attndsl_unite(const attn::UnionCall* call) {
    return attn::unite(*call);
}
"""
    return load_kernel(standalone(source), "unite", "attndsl_unite")
