"""Gathers queries by the key units that they attend to, into tiles that meet the keys of one unit.

A query has a slot in one tile for each of its units. Queries for which the static mask hides a part of the
unit, as causal masks do in a query's own unit, share tiles, so that all other tiles are FULL. Slots are kept
for `MOST_SLOTS` parts at a time: where the queries of a head have more, they are taken in chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.plan import Plan, as_numpy, unit_of_token
from attndsl.runtime.routed_mask import EMPTY, StaticMask
from attndsl.runtime.routed_tiles import TokenTiles, UnitTiles, cut, cut_units, segment_of
from attndsl.schedule.block_map import FULL, BlockMap, block_map
from attndsl.schedule.ragged import ragged

Array = NDArray[Any]

COARSE = 256
"""Queries in a row for which the static mask of a unit is decided together, unless units are larger."""

MOST_SLOTS = 2**18
"""Parts of queries that are kept at once."""

Lists = tuple[int, int, int]
"""Batch element and head of a list of a plan, and the class of heads of its static mask."""


@dataclass(frozen=True, eq=False)
class Gathered:
    """The gathered tiles of some queries of one list of a plan.

    rows: these queries. queries: tiles, with a slot for each query of each tile. starts: int64 [rows + 1],
    where the slots of each of the rows start. map: the units' tiles that each tile visits.
    """

    rows: slice
    queries: TokenTiles
    starts: NDArray[np.int64]
    map: BlockMap


class Gathering:
    """The gathered tiles of a plan, made when they are first asked for and kept.

    keys: the tiles of its units.
    """

    def __init__(self, mask: StaticMask, plan: Plan, q_tile: int, kv_tile: int) -> None:
        self.mask, self.plan, self.q_tile = mask, plan, q_tile
        self._unit = unit_of_token(plan.keys, plan.kv_block, plan.kv_units)
        self.keys = self._cut_units(kv_tile)
        self._lists = as_numpy(plan.indices)
        self._most = int(self._lists.shape[3])
        identity = plan.q_block == 1 and plan.q_units is None
        self._row = None if identity else unit_of_token(plan.queries, plan.q_block, plan.q_units)
        self._coarse: dict[int, Array] = {}
        self._known: dict[tuple[Lists, int], Gathered] = {}

    @property
    def most_slots(self) -> int:
        """The slots that a chunk has at most, and at least one."""
        return max(1, min(self._step, self.plan.queries) * self._most)

    def chunks(self, batch: int, head: int) -> Iterator[Gathered]:
        """What the queries of one head are gathered into, chunk by chunk."""
        group = self.mask.ir.heads // self.plan.heads
        lists = batch if self.plan.batch > 1 else 0, head // group, self.mask.class_of(head)
        for start in range(0, self.plan.queries, self._step):
            if (lists, start) not in self._known:
                self._known[lists, start] = self._gather(lists, start)
            yield self._known[lists, start]

    @property
    def _step(self) -> int:
        """Queries of a chunk."""
        return max(self.q_tile, MOST_SLOTS // max(self._most, 1))

    def _gather(self, of: Lists, start: int) -> Gathered:
        batch, head, mask = of
        rows = slice(start, min(start + self._step, self.plan.queries))
        lists = self._lists[batch, head][rows if self._row is None else self._row[rows]]
        query, place = np.nonzero(lists >= 0)
        unit = lists[query, place].astype(np.int64)
        kind = self._kinds(mask)[(query + start) // self._coarse_size, unit]
        if (kind == EMPTY).any():
            kept = kind != EMPTY
            query, unit, kind = query[kept], unit[kept], kind[kept]
        starts = np.concatenate([[0], np.cumsum(np.bincount(query, minlength=len(lists)))])
        space, query = self.mask.ir.query_space, query + start
        groups = (unit * 2 + (kind != FULL)) * len(space.segments) + segment_of(space, query)
        order = _sorted_order(groups, self.plan.key_units * 2 * len(space.segments))
        queries = cut(space, query[order], groups[order], self.q_tile, slots=order)
        return Gathered(rows, queries, starts, self._map(queries, mask))

    def _map(self, queries: TokenTiles, mask: int) -> BlockMap:
        """Each tile visits the tiles of its unit, unless the static mask hides them."""
        unit, decided = np.divmod(queries.groups // len(self.mask.ir.query_space.segments), 2)
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
        queries = cut_units(self.mask.ir.query_space, runs, count, self._coarse_size)
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
        return cut_units(self.mask.ir.key_space, self._unit, self.plan.key_units, size)


def _sorted_order(groups: Array, most: int) -> Array:
    """The permutation that sorts group numbers below `most` and keeps the order inside each group."""
    small = groups.astype(np.uint16) if most <= 2**16 else groups  # few bits are sorted without comparing
    return np.argsort(small, kind="stable")
