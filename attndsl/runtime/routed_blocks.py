"""Plans that decide for blocks of queries: block-sparse kernels whose block maps are made with the call."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attndsl.codegen.cpp import padded
from attndsl.codegen.tile_ir import Side
from attndsl.ir.bound import BoundIR
from attndsl.ir.plan import Plan, as_numpy, unit_of_token
from attndsl.runtime.call import CCall
from attndsl.runtime.cpu import heads_for_all_threads
from attndsl.runtime.kernels import Inputs, Saved, Wanted
from attndsl.runtime.routed_cpu import CMaps, Fit, c_maps, delta_of, programs
from attndsl.runtime.routed_mask import EMPTY, StaticMask
from attndsl.runtime.routed_tiles import KV_TILE, Q_TILE, UnitTiles, cut_units, even_size
from attndsl.runtime.threads import threads_for
from attndsl.schedule.block_map import BlockMap, block_map
from attndsl.schedule.ragged import ragged

Array = NDArray[Any]
Lists = tuple[int, int, int]
"""Batch element and head of a list of a plan, and the class of heads of its static mask."""


class BlockMaps:
    """The block maps of a plan over tiles of both sides, made when they are first asked for."""

    def __init__(self, mask: StaticMask, plan: Plan, queries: UnitTiles, keys: UnitTiles) -> None:
        self.mask, self.plan, self.queries, self.keys = mask, plan, queries, keys
        self._lists = as_numpy(plan.indices)
        self._maps: dict[Lists, BlockMap] = {}

    def of_heads(self, batches: int) -> tuple[list[BlockMap], NDArray[np.int32]]:
        """The different maps, and the number of the map of each head, int32 [batches, heads]."""
        heads, group = self.mask.ir.heads, self.mask.ir.heads // self.plan.heads
        used = [
            (batch if self.plan.batch > 1 else 0, head // group, self.mask.class_of(head))
            for batch, head in np.ndindex(batches, heads)
        ]
        number = {lists: place for place, lists in enumerate(dict.fromkeys(used))}
        of_head = np.array([number[lists] for lists in used], dtype=np.int32).reshape(batches, heads)
        return [self._map(lists) for lists in number], of_head

    def _map(self, lists: Lists) -> BlockMap:
        if lists not in self._maps:
            self._maps[lists] = self._make(*lists)
        return self._maps[lists]

    def _make(self, batch: int, head: int, mask: int) -> BlockMap:
        """Each pair of units as pairs of tiles, but for those that the static mask hides."""
        of_plan = self._lists[batch, head]
        q_unit, place = np.nonzero(of_plan >= 0)
        kv_unit = of_plan[q_unit, place]
        q_first, kv_first = self.queries.first, self.keys.first
        q_tiles, kv_tiles = np.diff(q_first)[q_unit], np.diff(kv_first)[kv_unit]
        pair, inside = ragged(q_tiles * kv_tiles)
        row = q_first[q_unit][pair] + inside // kv_tiles[pair]
        column = kv_first[kv_unit][pair] + inside % kv_tiles[pair]
        queries, keys = self.queries.tiles, self.keys.tiles
        residual = self.mask.classify(mask, queries, keys, row, column)
        kept = residual != EMPTY
        row, column = row[kept], column[kept]
        return block_map(row, column, column + 1, residual[kept], len(queries.counts), len(keys.counts))


class BlockKernels:
    """C++ kernels of a plan; see `Kernels`."""

    def __init__(self, ir: BoundIR, plan: Plan, head_dim: int, value_dim: int, dtype: torch.dtype) -> None:
        self.ir = ir
        sizes = even_size(plan.q_block, Q_TILE), even_size(plan.kv_block, KV_TILE)
        self.programs = programs(ir, Fit(*sizes, head_dim, value_dim, dtype, slotted=False))
        q_unit = unit_of_token(plan.queries, plan.q_block, plan.q_units)
        kv_unit = unit_of_token(plan.keys, plan.kv_block, plan.kv_units)
        self.queries = cut_units(ir.query_space, q_unit, plan.query_units, sizes[0])
        self.keys = cut_units(ir.key_space, kv_unit, plan.key_units, sizes[1])
        self.maps = BlockMaps(self.programs.mask, plan, self.queries, self.keys)
        self._c_maps: dict[tuple[Side, int], tuple[CMaps, NDArray[np.int32]]] = {}

    def forward(self, scale: float, inputs: Inputs, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """See `Kernels`."""
        self.programs.load("forward")
        out = torch.empty((*q.shape[:3], v.shape[3]), dtype=q.dtype)
        lse = torch.empty(q.shape[:3], dtype=torch.float32)
        self._run("forward", {"q": q, "k": k, "v": v, "out": out, "lse": lse}, scale, inputs)
        return out, lse

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
        names = self._programs(wanted, len(saved.q))
        self.programs.load(*names)
        dq, dk, dv = wanted.empty(saved)
        tensors = {
            "q": saved.q, "k": saved.k, "v": saved.v, "lse": saved.lse, "out_gradient": out_gradient,
            "delta": delta_of(self.ir, saved, out_gradient, lse_gradient),
            "q_gradient": dq, "k_gradient": dk, "v_gradient": dv,
        }  # fmt: skip
        for name in names:
            self._run(name, tensors, scale, inputs)
        return dq, dk, dv

    def _programs(self, wanted: Wanted, batches: int) -> list[str]:
        tiles = len(self.queries.tiles.counts) * self.ir.heads // self.ir.kv_heads
        fit = self.programs.fit
        numbers = padded(fit.q_tile) * (2 * fit.head_dim + fit.value_dim + 2)
        if wanted.q and wanted.kv and heads_for_all_threads(batches * self.ir.kv_heads, tiles, numbers):
            return ["dq_dk_dv"]
        return [*(["dq"] if wanted.q else []), *(["dk_dv"] if wanted.kv else [])]

    def _run(self, name: str, tensors: dict[str, Tensor], scale: float, inputs: Inputs) -> None:
        batches = len(tensors["q"])
        owner: Side = "kv" if name.endswith("dk_dv") else "q"
        maps, of_head = self._maps_of(owner, batches)
        of_coordinates = self.programs.needs_coordinates
        owners = self.keys if owner == "kv" else self.queries
        call = CCall(
            queries=self.queries.tiles.struct(of_coordinates), keys=self.keys.tiles.struct(of_coordinates),
            maps=maps.address, map_of_head=of_head.ctypes.data, map_batch_stride=self.ir.heads,
            batches=batches, heads=self.ir.heads, kv_heads=self.ir.kv_heads,
            threads=threads_for(batches * self.ir.heads * len(owners.tiles.counts)),
        )  # fmt: skip
        self.programs.run(name, call, tensors, scale, inputs)

    def _maps_of(self, owner: Side, batches: int) -> tuple[CMaps, NDArray[np.int32]]:
        """The maps in C for kernels that own tiles of one side."""
        if (owner, batches) not in self._c_maps:
            maps, of_head = self.maps.of_heads(batches)
            sides = self.queries.tiles, self.keys.tiles
            if owner == "kv":
                maps, sides = [each.transpose() for each in maps], sides[::-1]
            self._c_maps[owner, batches] = c_maps(maps, *sides), of_head
        return self._c_maps[owner, batches]
