"""Plans that decide for each query alone: the queries of every key unit are gathered into tiles.

A query stands in one tile for each unit that it attends to. Each tile meets the keys of one unit, and what it
computes of a query is a part that is merged with the others by log-sum-exp. Memory is that of one head's
queries times the units that they keep. Lists are ascending, so that queries for which the static mask hides
a part of the unit, as causal masks do in a query's own unit, share tiles, and all other tiles are FULL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attndsl.ir.bound import BoundIR
from attndsl.ir.plan import Plan, as_numpy, unit_of_token
from attndsl.runtime.call import CCall
from attndsl.runtime.kernels import Inputs, Saved, Wanted
from attndsl.runtime.routed_cpu import CMaps, Fit, c_maps, delta_of, programs
from attndsl.runtime.routed_mask import EMPTY
from attndsl.runtime.routed_merge import add_up, join_of, merge
from attndsl.runtime.routed_tiles import (
    KV_TILE,
    Q_TILE,
    TokenTiles,
    UnitTiles,
    cut,
    cut_units,
    even_size,
    segment_of,
)
from attndsl.runtime.threads import threads_for
from attndsl.schedule.block_map import FULL, BlockMap, block_map
from attndsl.schedule.ragged import ragged

Array = NDArray[Any]

COARSE = 256
"""Queries in a row for which the static mask of a unit is decided together, unless units are larger."""


@dataclass(frozen=True, eq=False)
class Gathered:
    """The gathered tiles of one list of a plan.

    queries: tiles, with a slot for each query of each tile. starts: int64 [queries + 1], where the slots of
    each query start. maps: the units' tiles that each tile visits; transposed: the other way round.
    """

    queries: TokenTiles
    starts: NDArray[np.int64]
    map: BlockMap
    maps: CMaps


class GatheredKernels:
    """C++ kernels of a plan; see `Kernels`. Tiles are gathered once per list, and kept for the gradients."""

    def __init__(self, ir: BoundIR, plan: Plan, head_dim: int, value_dim: int, dtype: torch.dtype) -> None:
        self.ir, self.plan = ir, plan
        fit = Fit(Q_TILE, even_size(plan.kv_block, KV_TILE), head_dim, value_dim, dtype, slotted=True)
        self.programs = programs(ir, fit)
        self.mask = self.programs.mask
        self._unit = unit_of_token(plan.keys, plan.kv_block, plan.kv_units)
        self.keys = self._cut_units(fit.kv_tile)
        self._lists = as_numpy(plan.indices)
        identity = plan.q_block == 1 and plan.q_units is None
        self._row = None if identity else unit_of_token(plan.queries, plan.q_block, plan.q_units)
        self._coarse: dict[int, Array] = {}
        self._gathered: dict[tuple[int, int, int], Gathered] = {}

    def forward(self, scale: float, inputs: Inputs, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """See `Kernels`."""
        self.programs.load("forward")
        out = torch.empty((*q.shape[:3], v.shape[3]), dtype=q.dtype)
        lse = torch.empty(q.shape[:3], dtype=torch.float32)
        slots = max(self._most_slots(len(q)), 1)  # without any, the totals would have no address
        parts, totals = torch.empty(slots, v.shape[3]), torch.empty(slots)
        for batch, head in np.ndindex(*q.shape[:2]):
            found = self._gather(batch, head)
            tensors = {"q": q, **self._of_head(head, k=k, v=v), **_slots(out=parts, lse=totals[:, None])}
            self._run("forward", found, batch, head, tensors, scale, inputs)
            merge(parts, totals, found.starts, out[batch, head], lse[batch, head], join_of(self.ir))
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
        self.programs.load(*(["dq"] if wanted.q else []), *(["dk_dv"] if wanted.kv else []))
        q, k, v = saved.q, saved.k, saved.v
        dq = torch.empty(q.shape if wanted.q else 0, dtype=q.dtype)
        dk, dv = (torch.zeros(each.shape if wanted.kv else 0) for each in (k, v))
        own_dk, own_dv = (torch.empty(*each.shape[2:]) for each in (k, v))
        parts = torch.empty(self._most_slots(len(q)) if wanted.q else 0, q.shape[3])
        delta = delta_of(self.ir, saved, out_gradient, lse_gradient)
        given = {"q": q, "lse": saved.lse, "out_gradient": out_gradient, "delta": delta}
        for batch, head in np.ndindex(*q.shape[:2]):
            found = self._gather(batch, head)
            tensors = given | self._of_head(head, k=k, v=v)
            if wanted.q:
                self._run("dq", found, batch, head, tensors | _slots(q_gradient=parts), scale, inputs)
                add_up(parts, found.starts, dq[batch, head])
            if wanted.kv:
                slots = _slots(k_gradient=own_dk, v_gradient=own_dv)
                self._run("dk_dv", found, batch, head, tensors | slots, scale, inputs)
                kv_head = head // (self.ir.heads // self.ir.kv_heads)
                dk[batch, kv_head] += own_dk
                dv[batch, kv_head] += own_dv
        return dq, dk.to(k.dtype), dv.to(v.dtype)

    def _run(
        self, name: str, found: Gathered, batch: int, head: int,
        tensors: dict[str, Tensor], scale: float, inputs: Inputs,
    ) -> None:  # fmt: skip
        """Run a program on one head, for which keys and values have been expanded to all query heads."""
        owners, maps = found.queries, found.maps
        if name == "dk_dv":
            owners, maps = self.keys.tiles, c_maps([found.map.transpose()], self.keys.tiles, found.queries)
        of_head = np.zeros(self.ir.heads, dtype=np.int32)
        queries, keys = (
            each.struct(self.programs.needs_coordinates) for each in (found.queries, self.keys.tiles)
        )
        keys.slots = keys.tokens
        call = CCall(
            queries=queries, keys=keys, maps=maps.address, map_of_head=of_head.ctypes.data,
            heads=self.ir.heads, kv_heads=self.ir.heads, batches=batch + 1,
            first_pair=batch * self.ir.heads + head, pairs=1, threads=threads_for(len(owners.counts)),
        )  # fmt: skip
        self.programs.run(name, call, tensors, scale, inputs)

    def _of_head(self, head: int, **tensors: Tensor) -> dict[str, Tensor]:
        """The tensors of the kv head that a query head uses, for all heads."""
        kv_head = head // (self.ir.heads // self.ir.kv_heads)
        return {
            name: each[:, kv_head : kv_head + 1].expand(-1, self.ir.heads, -1, -1)
            for name, each in tensors.items()
        }

    def _most_slots(self, batch: int) -> int:
        lists = {self._list_of(b, h)[:2] for b, h in np.ndindex(batch, self.ir.heads)}
        return max((self._count(*each) for each in lists), default=0)

    def _count(self, batch: int, head: int) -> int:
        """The slots that a list may take."""
        kept = np.count_nonzero(self._lists[batch, head] >= 0, axis=-1)
        return int(kept.sum() if self._row is None else kept[self._row].sum())

    def _list_of(self, batch: int, head: int) -> tuple[int, int, int]:
        """The batch element and head of the list that a query head uses, and the class of its static mask."""
        group = self.ir.heads // self.plan.heads
        return batch if self.plan.batch > 1 else 0, head // group, self.mask.class_of(head)

    def _gather(self, batch: int, head: int) -> Gathered:
        key = self._list_of(batch, head)
        if key not in self._gathered:
            self._gathered[key] = self._gather_list(*key)
        return self._gathered[key]

    def _gather_list(self, batch: int, head: int, mask: int) -> Gathered:
        lists = self._lists[batch, head]
        lists = lists if self._row is None else lists[self._row]
        query, place = np.nonzero(lists >= 0)
        unit = lists[query, place].astype(np.int64)
        kind = self._kinds(mask)[query // self._coarse_size, unit]
        if (kind == EMPTY).any():
            kept = kind != EMPTY
            query, unit, kind = query[kept], unit[kept], kind[kept]
        space = self.ir.query_space
        groups = (unit * 2 + (kind != FULL)) * len(space.segments) + segment_of(space, query)
        order = _sorted_order(groups, self.plan.key_units * 2 * len(space.segments))
        queries = cut(space, query[order], groups[order], Q_TILE, slots=order)
        found = self._map(queries, mask)
        starts = np.concatenate([[0], np.cumsum(np.bincount(query, minlength=self.plan.queries))])
        return Gathered(queries, starts, found, c_maps([found], queries, self.keys.tiles))

    def _map(self, queries: TokenTiles, mask: int) -> BlockMap:
        """Each tile visits the tiles of its unit, unless the static mask hides them."""
        unit, decided = np.divmod(queries.groups // len(self.ir.query_space.segments), 2)
        begin, end = self.keys.first[unit], self.keys.first[unit + 1]
        full = np.flatnonzero(decided == 0)
        partial = np.flatnonzero(decided)
        index, inside = ragged(end[partial] - begin[partial])
        row, column = partial[index], begin[partial][index] + inside
        residual = self.mask.classify(mask, queries, self.keys.tiles, row, column)
        kept = residual != EMPTY
        return block_map(
            np.concatenate([full, row[kept]]),
            np.concatenate([begin[full], column[kept]]),
            np.concatenate([end[full], column[kept] + 1]),
            np.concatenate([np.zeros(len(full), np.int16), residual[kept]]),
            len(queries.counts),
            len(self.keys.tiles.counts),
        )

    @property
    def _coarse_size(self) -> int:
        return max(COARSE, self.plan.kv_block)

    def _kinds(self, mask: int) -> Array:
        """What the static mask says of runs of queries and whole units: FULL, EMPTY or 1, [runs, units]."""
        if mask not in self._coarse:
            self._coarse[mask] = self._find_kinds(mask)
        return self._coarse[mask]

    def _find_kinds(self, mask: int) -> Array:
        runs = np.arange(self.plan.queries) // self._coarse_size
        count = -(-self.plan.queries // self._coarse_size)
        queries = cut_units(self.ir.query_space, runs, count, self._coarse_size)
        units = self._cut_units(self.plan.kv_block)
        shape = len(queries.tiles.counts), len(units.tiles.counts)
        if not all(shape):
            return np.zeros((len(queries.first) - 1, len(units.first) - 1), dtype=np.int8)
        row, column = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
        found = self.mask.classify(mask, queries.tiles, units.tiles, row, column).reshape(shape)
        full, empty = found == FULL, found == EMPTY
        for axis, first in enumerate((queries.first, units.first)):
            full, empty = (np.logical_and.reduceat(each, first[:-1], axis=axis) for each in (full, empty))
        return np.where(full, FULL, np.where(empty, EMPTY, 1)).astype(np.int8)

    def _cut_units(self, size: int) -> UnitTiles:
        return cut_units(self.ir.key_space, self._unit, self.plan.key_units, size)


def _slots(**tensors: Tensor) -> dict[str, Tensor]:
    """Tensors [slots, channels] as kernels take them."""
    return {name: each[None, None] for name, each in tensors.items()}


def _sorted_order(groups: Array, most: int) -> Array:
    """The permutation that sorts group numbers below `most` and keeps the order inside each group."""
    small = groups.astype(np.uint16) if most <= 2**16 else groups  # few bits are sorted without comparing
    return np.argsort(small, kind="stable")
