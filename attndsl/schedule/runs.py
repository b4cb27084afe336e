"""Runs of kv tiles while a block map is being built."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.schedule.block_map import BlockMap, block_map
from attndsl.schedule.pairs import Pairs
from attndsl.schedule.pyramid import Pyramid
from attndsl.schedule.ragged import ragged, row_major

Array = NDArray[Any]


@dataclass
class Runs:
    """Runs with provisional residual numbers, collected region by region."""

    rows: int
    columns: int
    _parts: list[tuple[Array, Array, Array, Array]] = field(default_factory=list)

    def add(self, row: Array, begin: Array, end: Array, residual: Array | int) -> None:
        """Runs `begin` to `end` of kv tiles for the q tiles `row`, each [runs]."""
        parts = row.astype(np.int32), begin.astype(np.int32), end.astype(np.int32)
        self._parts.append((*parts, np.broadcast_to(np.asarray(residual, dtype=np.int32), len(row))))

    def add_boxes(self, pairs: Pairs, first_row: int, first_column: int, residual: Array | int) -> None:
        """All tiles of pairs of boxes; tiles are numbered from `first_row` and `first_column` on."""
        source, row, begin, end = box_runs(pairs)
        numbers = np.broadcast_to(np.asarray(residual), len(pairs))[source]
        self.add(row + first_row, begin + first_column, end + first_column, numbers)

    def block_map(self, final: Array) -> BlockMap:
        """The finished map. final: the residual number of each provisional number; negative: drop it."""
        nothing = (np.empty(0, dtype=np.int32),) * 4
        row, begin, end, residual = map(np.concatenate, zip(nothing, *self._parts, strict=True))
        residual = final[residual]
        if (residual < 0).any():
            kept = residual >= 0
            row, begin, end, residual = row[kept], begin[kept], end[kept], residual[kept]
        return block_map(row, begin, end, residual, self.rows, self.columns)


def box_runs(pairs: Pairs) -> tuple[Array, Array, Array, Array]:
    """The tiles inside pairs of boxes of level 0 or coarser, in runs.

    Of each run: the index of the pair of boxes, the q tile, and the first and the end kv tile.
    """
    if pairs.level == 0:
        return np.arange(len(pairs)), pairs.query, pairs.key, pairs.key + 1
    axes, coordinates = pairs.axes, pairs.coordinates
    keys = list(zip(axes.key, coordinates[len(axes.query) :], strict=True))
    expanded = [*zip(axes.query, coordinates, strict=False), *keys[:-1]]
    source, tiles = _expand(expanded, pairs.level, len(pairs))
    query_grid, key_grid = axes.split(0)
    row = row_major(tiles[: len(axes.query)], query_grid)
    axis, boxes = keys[-1]
    first, count = axis.tiles(pairs.level)
    begin = row_major([*tiles[len(axes.query) :], first[boxes[source]]], key_grid)
    return source, row, begin, begin + count[boxes[source]]


def _expand(axes: list[tuple[Pyramid, Array]], level: int, size: int) -> tuple[Array, list[Array]]:
    """Every combination of tiles inside boxes: the index of the boxes they are from, and tiles per axis."""
    source, tiles = np.arange(size), list[Array]()
    for axis, boxes in axes:
        first, count = axis.tiles(level)
        repeated, inside = ragged(count[boxes[source]])
        source, tiles = source[repeated], [tile[repeated] for tile in tiles]
        tiles.append(first[boxes[source]] + inside)
    return source, tiles
