"""Block maps: which kv tiles each q tile visits, as runs of neighbouring tiles.

Run-length encoding keeps the maps of long sequences small: causal attention over a million tokens visits 134
million pairs of tiles, in two runs per q tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.schedule.ragged import ragged

Array = NDArray[Any]

FULL = 0
"""The residual number of tiles in which every pair of tokens is visible."""


@dataclass(frozen=True, eq=False)
class BlockMap:
    """Runs of kv tiles for each q tile, in compressed sparse rows.

    row_start: int64 [rows + 1], where each q tile's runs start. begin, end: int32 [runs], the kv tiles of
    a run, end exclusive. residual: int16 [runs], 0 for FULL tiles, else the number (counted from 1) of the
    predicate that decides the pairs of these PARTIAL tiles. The runs of a q tile are sorted, do not overlap,
    and are as long as possible. columns: the number of kv tiles.
    """

    row_start: NDArray[np.int64]
    begin: NDArray[np.int32]
    end: NDArray[np.int32]
    residual: NDArray[np.int16]
    columns: int

    @property
    def rows(self) -> int:
        """The number of q tiles."""
        return len(self.row_start) - 1

    @cached_property
    def row(self) -> NDArray[np.int64]:
        """The q tile of each run, [runs]."""
        return np.repeat(np.arange(self.rows), np.diff(self.row_start))

    @cached_property
    def visited(self) -> NDArray[np.int64]:
        """The number of kv tiles that each q tile visits, [rows]."""
        return np.bincount(self.row, self.end - self.begin, minlength=self.rows).astype(np.int64)

    @property
    def visited_tiles(self) -> int:
        """The number of visited pairs of tiles."""
        return int((self.end - self.begin).sum(dtype=np.int64))

    @property
    def full_tiles(self) -> int:
        """The number of visited pairs of tiles that are FULL."""
        return int((self.end - self.begin)[self.residual == FULL].sum(dtype=np.int64))

    @cached_property
    def is_contiguous(self) -> bool:
        """Whether every q tile visits one range of neighbouring kv tiles, so that a kernel needs no table."""
        same_row = self.row[1:] == self.row[:-1]
        return bool(np.all(self.begin[1:][same_row] == self.end[:-1][same_row]))

    def pairs(self, query_counts: Array, key_counts: Array) -> Array:
        """The number of token pairs in the tiles of each run, int64 [runs]."""
        before = np.concatenate([[0], np.cumsum(key_counts)])
        result: Array = query_counts[self.row] * (before[self.end] - before[self.begin])
        return result

    def order(self, query_counts: Array, key_counts: Array) -> NDArray[np.int32]:
        """The q tiles with the most token pairs first, int32 [rows]: threads then finish at the same time."""
        work = np.bincount(self.row, self.pairs(query_counts, key_counts), minlength=self.rows)
        return np.argsort(-work, kind="stable").astype(np.int32)

    def entries(self) -> tuple[Array, Array, Array]:
        """Every visited pair of tiles: q tile, kv tile and residual, each [visited tiles]."""
        run, inside = ragged(self.end - self.begin)
        return self.row[run], self.begin[run] + inside, self.residual[run]

    def residual_of(self, row: Array, column: Array) -> Array:
        """The residual of visited pairs of tiles, and -1 for pairs that are not visited."""
        if not len(self.begin):
            return np.full(len(row), -1, dtype=np.int16)
        starts = self.row * self.columns + self.begin
        run = np.searchsorted(starts, row.astype(np.int64) * self.columns + column, side="right") - 1
        inside = (run >= 0) & (self.row[run] == row) & (column < self.end[run])
        return np.where(inside, self.residual[run], np.int16(-1))

    def renumbered(self, residual: Array) -> BlockMap:
        """The same tiles with new residual numbers, [runs]; negative numbers remove a run."""
        kept = residual >= 0
        return block_map(
            self.row[kept], self.begin[kept], self.end[kept], residual[kept], self.rows, self.columns
        )

    def transpose(self) -> BlockMap:
        """For each kv tile the q tiles that visit it: what the gradients of keys and values loop over."""
        return _transposed(self)


def block_map(row: Array, begin: Array, end: Array, residual: Array, rows: int, columns: int) -> BlockMap:
    """The block map of runs in any order, which must not overlap."""
    order = _sorted_order(row.astype(np.int64) * (columns + 1) + begin)
    if order is not None:
        row, begin, end, residual = row[order], begin[order], end[order], residual[order]
    starts = np.ones(len(row), dtype=bool)
    starts[1:] = (row[1:] != row[:-1]) | (begin[1:] != end[:-1]) | (residual[1:] != residual[:-1])
    first = np.flatnonzero(starts)
    last = np.append(first[1:], len(row)) - 1 if len(row) else first
    row_start = np.concatenate([[0], np.cumsum(np.bincount(row[first], minlength=rows))])
    return BlockMap(
        row_start.astype(np.int64),
        begin[first].astype(np.int32),
        end[last].astype(np.int32),
        residual[first].astype(np.int16),
        columns,
    )


def _transposed(original: BlockMap) -> BlockMap:
    """Compares each row with the one above: where they differ, a run of the transposed map ends or starts."""
    row, column, here = _changes(original)
    order = np.lexsort((row, column))
    row, column, here = row[order], column[order], here[order]
    until = np.append(
        row[1:], 0
    )  # the next change in the same column; the last change of a column starts no run
    starts = here >= 0
    return block_map(
        column[starts], row[starts], until[starts], here[starts], original.columns, original.rows
    )


def _changes(original: BlockMap) -> tuple[Array, Array, Array]:
    """Pairs of tiles (row, column) whose residual differs from (row - 1, column), and their residual."""
    width = original.columns + 1
    ends = np.concatenate([original.row * width + original.begin, original.row * width + original.end])
    points = np.sort(np.concatenate([ends, ends + width]))
    row, column = np.divmod(points, width)
    above, here = original.residual_of(row - 1, column), original.residual_of(row, column)
    length = np.diff(points, append=points[-1:])
    repeated, inside = ragged(np.where(above != here, length, 0))
    return row[repeated], column[repeated] + inside, here[repeated]


def _sorted_order(key: Array) -> Array | None:
    """The permutation that sorts the keys; None when they are sorted already."""
    if len(key) < 2 or np.all(key[1:] >= key[:-1]):
        return None
    return np.argsort(key, kind="stable")
