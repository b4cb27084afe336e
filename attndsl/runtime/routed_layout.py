"""A plan's tokens laid out for kernels that want tiles to be runs of memory: unit after unit, filled up.

Heads become batch elements, since each may have lists of its own. Where queries are routed each on its own,
a query is laid out once for each key unit that it attends to; otherwise once. Kernels are told where each
token stands, and -1 for filling.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.diagnostics import AttnUnsupportedError
from attndsl.ir.bound import BoundIR, Space
from attndsl.ir.expr import Head
from attndsl.ir.plan import Plan, as_numpy, unit_of_token
from attndsl.passes.placed import placed
from attndsl.runtime.routed_mask import EMPTY, StaticMask
from attndsl.runtime.routed_tiles import TokenTiles, segment_of
from attndsl.schedule.block_map import FULL
from attndsl.schedule.ragged import ragged

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Rows:
    """Tokens in rows of memory.

    positions: int64 [rows], -1 for filling. groups: int64 [rows / filled], what each `filled` rows belong to.
    place: int64 [tokens laid out], the row of each, in the order that they were given in.
    """

    positions: NDArray[np.int64]
    groups: NDArray[np.int64]
    place: NDArray[np.int64]
    filled: int

    def tiles(self, space: Space, size: int) -> TokenTiles:
        """The rows in tiles of `size`, a divisor of `filled`."""
        table = self.positions.reshape(-1, size)
        counts = (table >= 0).sum(-1).astype(np.int32)
        tokens = np.where(table < 0, np.maximum(table[:, :1], 0), table).astype(np.int32)
        groups = np.repeat(self.groups, self.filled // size)
        return TokenTiles(space, tokens, counts, segment_of(space, tokens[:, 0]), groups)


def lay_out(tokens: Array, groups: Array, filled: int) -> Rows:
    """Rows group after group, each filled up to a multiple of `filled`. groups: ascending."""
    lengths = np.bincount(groups)
    blocks = -(-lengths // filled)
    start = (np.cumsum(blocks) - blocks) * filled
    place = start[groups] + np.arange(len(groups)) - (np.cumsum(lengths) - lengths)[groups]
    positions = np.full(int(blocks.sum()) * filled, -1, dtype=np.int64)
    positions[place] = tokens
    return Rows(positions, np.repeat(np.arange(len(blocks)), blocks), place, filled)


class Layout:
    """The rows of a plan's queries and keys, and which tiles of them meet.

    filled: what rows of queries and of keys are filled up to. by_query: whether queries are laid out for
    each key unit, as lists of each query ask for.
    """

    def __init__(self, mask: StaticMask, plan: Plan, filled: tuple[int, int], by_query: bool) -> None:
        self.mask, self.plan, self.filled, self.by_query = mask, plan, filled, by_query
        self.lists = as_numpy(plan.indices).reshape(-1, *plan.indices.shape[2:])
        self.keys = self._units(mask.ir.key_space, plan.keys, plan.kv_block, plan.kv_units, filled[1])

    @cached_property
    def queries(self) -> list[Rows]:
        """The rows of each list; short ones are filled up to the longest."""
        space = self.mask.ir.query_space
        if not self.by_query:
            of_plan = self.plan.queries, self.plan.q_block, self.plan.q_units
            return [self._units(space, *of_plan, self.filled[0])] * len(self.lists)
        found = []
        for query, unit in self.pairs:
            groups = unit * len(space.segments) + segment_of(space, query)
            order = np.argsort(groups, kind="stable")
            rows = lay_out(query[order], groups[order], self.filled[0])
            place = np.empty_like(rows.place)
            place[order] = rows.place
            found.append(Rows(rows.positions, rows.groups // len(space.segments), place, rows.filled))
        longest = max(len(rows.groups) for rows in found)
        return [_lengthened(rows, longest) for rows in found]

    @cached_property
    def pairs(self) -> list[tuple[Array, Array]]:
        """The (query, key unit) pairs of each list, query after query."""
        row = unit_of_token(self.plan.queries, self.plan.q_block, self.plan.q_units)
        found = []
        for lists in self.lists:
            of_query = lists[row]
            query, place = np.nonzero(of_query >= 0)
            found.append((query, of_query[query, place].astype(np.int64)))
        return found

    @cached_property
    def rows_of_query(self) -> NDArray[np.int64]:
        """Where each query is laid out, int64 [lists, queries, most]; -1 where it is fewer times."""
        if not self.by_query:
            return np.stack([_row_of_token(rows, self.plan.queries) for rows in self.queries])[..., None]
        most = self.lists.shape[-1]
        found = np.full((len(self.lists), self.plan.queries, most), -1, dtype=np.int64)
        for number, ((query, _), rows) in enumerate(zip(self.pairs, self.queries, strict=True)):
            starts = np.searchsorted(query, query)
            found[number, query, np.arange(len(query)) - starts] = rows.place
        return found

    def visits(self, number: int, q_tile: int, kv_tile: int) -> tuple[Array, Array, Array]:
        """The pairs of tiles of one list: q tile, kv tile, and 0 for FULL or 1 for PARTIAL."""
        rows = self.queries[number]
        queries = rows.tiles(self.mask.ir.query_space, q_tile)
        keys = self.keys.tiles(self.mask.ir.key_space, kv_tile)
        tile, unit = self._units_of_tiles(number, queries)
        first = np.searchsorted(keys.groups, np.arange(self.plan.key_units + 1))
        pair, inside = ragged(first[unit + 1] - first[unit])
        row, column = tile[pair], first[unit][pair] + inside
        residual = self.mask.classify(0, queries, keys, row, column)
        filled = keys.counts[column] < kv_tile
        kept = (residual != EMPTY) & (queries.counts[row] > 0) & (keys.counts[column] > 0)
        return row[kept], column[kept], ((residual != FULL) | filled)[kept].astype(np.int64)

    def _units_of_tiles(self, number: int, queries: TokenTiles) -> tuple[Array, Array]:
        """The (q tile, key unit) pairs of one list."""
        if self.by_query:
            return np.arange(len(queries.groups)), queries.groups
        lists = self.lists[number][queries.groups]
        tile, place = np.nonzero(lists >= 0)
        return tile, lists[tile, place].astype(np.int64)

    def _units(self, space: Space, tokens: int, block: int, units: Array | None, filled: int) -> Rows:
        """All tokens of a side, unit after unit; a block of rows lies in one unit and in one segment."""
        unit, segments = unit_of_token(tokens, block, units), len(space.segments)
        groups = unit * segments + segment_of(space, np.arange(tokens))
        order = np.argsort(groups, kind="stable")
        rows = lay_out(order, groups[order], filled)
        return Rows(rows.positions, rows.groups // segments, rows.place, filled)


def _lengthened(rows: Rows, blocks: int) -> Rows:
    """More rows of filling at the end, which belong to the last group."""
    missing = blocks - len(rows.groups)
    positions = np.concatenate([rows.positions, np.full(missing * rows.filled, -1, dtype=np.int64)])
    groups = np.concatenate([rows.groups, np.zeros(missing, dtype=np.int64)])
    return Rows(positions, groups, rows.place, rows.filled)


def _row_of_token(rows: Rows, tokens: int) -> NDArray[np.int64]:
    found = np.empty(tokens, dtype=np.int64)
    found[rows.positions[rows.positions >= 0]] = np.flatnonzero(rows.positions >= 0)
    return found


@lru_cache(64)
def has_placed(ir: BoundIR) -> bool:
    """Whether kernels may take the tokens of one head from anywhere, and be told where they stand."""
    expressions = [each for region in ir.regions for each in (region.visible, *region.terms)]
    if any(Head() in each.leaves for each in expressions):
        return False
    try:
        placed(ir, 1, 1)
    except AttnUnsupportedError:
        return False
    return True
