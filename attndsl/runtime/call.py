"""The structs through which Python calls C++ kernels; they mirror `codegen/runtime_call.h` field by field."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_float, c_int64, c_void_p
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.codegen.cpp import padded
from attndsl.codegen.tile_ir import Side
from attndsl.ir.evaluate import coordinates as coordinates_of
from attndsl.schedule.block_map import BlockMap
from attndsl.schedule.schedule import Schedule
from attndsl.schedule.tiling import Tiling

Array = NDArray[Any]


class CTiling(ctypes.Structure):
    """`attn::Tiling`."""

    _fields_ = (
        ("tokens", c_void_p), ("counts", c_void_p), ("coordinates", c_void_p),
        ("tiles", c_int64), ("capacity", c_int64), ("slots", c_void_p),
    )  # fmt: skip


class CBlockMap(ctypes.Structure):
    """`attn::BlockMap`."""

    _fields_ = (
        ("row_start", c_void_p), ("begin", c_void_p), ("end", c_void_p),
        ("residual", c_void_p), ("order", c_void_p),
    )  # fmt: skip


class CCall(ctypes.Structure):
    """`attn::Call`."""

    _fields_ = (
        ("tensors", c_void_p), ("inputs", c_void_p), ("arguments", c_void_p),
        ("maps", c_void_p), ("map_of_head", c_void_p), ("map_batch_stride", c_int64),
        ("batches", c_int64), ("heads", c_int64), ("kv_heads", c_int64),
        ("queries", CTiling), ("keys", CTiling), ("threads", c_int64),
        ("first_pair", c_int64), ("pairs", c_int64), ("listed", c_void_p),
    )  # fmt: skip


@dataclass
class Maps:
    """Block maps in C: the array of structs, which map each head uses, and the arrays they point to."""

    structs: Any
    map_of_head: NDArray[np.int32]
    map_batch_stride: int
    arrays: list[Array] = field(default_factory=list)


def block_maps(schedules: Sequence[Schedule], owner: Side = "q") -> Maps:
    """The block maps of one schedule for all batch elements, or of one schedule per batch element.

    owner: whose tiles are the rows; 'kv' gives the transposed maps.
    """
    first = schedules[0]
    counts = first.q_tiling.counts, first.kv_tiling.counts
    maps = [each for schedule in schedules for each in schedule.maps]
    if owner == "kv":
        maps, counts = [each.transpose() for each in maps], counts[::-1]
    firsts = np.cumsum([0, *(len(schedule.maps) for schedule in schedules[:-1])])
    of_head = [np.asarray(s.map_of_head) + first for s, first in zip(schedules, firsts, strict=True)]
    arrays: list[Array] = []
    structs = (CBlockMap * len(maps))(*(c_block_map(each, *counts, arrays) for each in maps))
    heads = len(of_head[0]) if len(schedules) > 1 else 0
    return Maps(structs, np.concatenate(of_head).astype(np.int32), heads, arrays)


def c_block_map(block_map: BlockMap, own_counts: Array, counts: Array, arrays: list[Array]) -> CBlockMap:
    """One block map in C; the arrays that it points to are added to `arrays`."""
    order = block_map.order(own_counts, counts)
    members = (block_map.row_start, block_map.begin, block_map.end, block_map.residual, order)
    kept = [np.ascontiguousarray(member) for member in members]
    arrays.extend(kept)
    return CBlockMap(*(member.ctypes.data for member in kept))


@dataclass
class Tiles:
    """One side's tiles in C, and the arrays they point to."""

    struct: CTiling
    arrays: list[Array]


def tiles(tiling: Tiling, needs_coordinates: bool = True) -> Tiles:
    """Token table, counts and coordinates, in rows of a whole number of vectors.

    needs_coordinates: whether predicates read them.
    """
    tokens, counts = tiling.tokens()
    capacity = padded(tokens.shape[1])
    table = np.repeat(tokens[:, :1], capacity, axis=1)  # a missing token repeats the tile's first one
    table[:, : tokens.shape[1]] = np.where(tokens < 0, tokens[:, :1], tokens)
    coordinates = _coordinates(tiling, table) if needs_coordinates else np.zeros(0, dtype=np.int32)
    arrays = [table, np.ascontiguousarray(counts, dtype=np.int32), coordinates]
    return Tiles(CTiling(*(array.ctypes.data for array in arrays), len(counts), capacity), arrays)


def _coordinates(tiling: Tiling, table: Array) -> NDArray[np.int32]:
    """[axes, tiles, capacity]: where the tokens are on each axis of their own segment."""
    axes = max(len(part.segment.axes) for part in tiling.segments)
    result = np.zeros((axes, *table.shape), dtype=np.int32)
    for part, first in zip(tiling.segments, tiling.first_tile, strict=False):
        rows = slice(first, first + part.tiles)
        for axis, values in enumerate(coordinates_of(part.segment, table[rows])):
            result[axis, rows] = values
    return result


@dataclass
class PreparedCall:
    """The part of a call that is the same every time; `template` is copied for each call."""

    queries: Tiles
    keys: Tiles
    maps: Maps
    template: CCall

    @classmethod
    def of(cls, schedule: Schedule) -> PreparedCall:
        """Everything that a schedule decides; with inputs, the maps of a call may be narrower."""
        ir = schedule.ir
        masked = bool(schedule.residuals) or any(region.terms for region in ir.regions)
        queries, keys = tiles(schedule.q_tiling, masked), tiles(schedule.kv_tiling, masked)
        maps = block_maps([schedule])
        call = CCall(heads=ir.heads, kv_heads=ir.kv_heads, queries=queries.struct, keys=keys.struct)
        _use_maps(call, maps)
        return cls(queries, keys, maps, call)

    def transposed(self, schedule: Schedule) -> PreparedCall:
        """The same for kernels that own kv tiles."""
        maps = block_maps([schedule], owner="kv")
        call = CCall.from_buffer_copy(self.template)
        _use_maps(call, maps)
        return PreparedCall(self.queries, self.keys, maps, call)

    def run(
        self, function: Any, tensors: Sequence[int], arguments: Sequence[float], batches: int, threads: int,
        inputs: Sequence[int] = (), maps: Maps | None = None,
    ) -> int:  # fmt: skip
        """Call a kernel. tensors: address and four strides of each; inputs: address and batch stride."""
        call = CCall.from_buffer_copy(self.template)
        tensor_array = (c_int64 * len(tensors))(*tensors)
        argument_array = (c_float * len(arguments))(*arguments)
        input_array = (c_int64 * len(inputs))(*inputs)
        call.tensors = ctypes.addressof(tensor_array)
        call.arguments = ctypes.addressof(argument_array)
        call.inputs = ctypes.addressof(input_array)
        call.batches, call.threads = batches, threads
        if maps:
            _use_maps(call, maps)
        return int(function(ctypes.addressof(call)))


def _use_maps(call: CCall, maps: Maps) -> None:
    call.maps = ctypes.addressof(maps.structs)
    call.map_of_head = maps.map_of_head.ctypes.data
    call.map_batch_stride = maps.map_batch_stride
