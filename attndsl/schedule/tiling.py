"""Tilings: how the tokens of a space are cut into the tiles that kernels treat as matrix blocks.

A tile along one axis is an arithmetic progression of coordinates. With step 1 it is a run of neighbours; with
step d the axis is cut residue class by residue class (the layout of dilated windows, grids and intervals), so
that tokens which see each other share tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import Segment, Space

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class AxisTiling:
    """Tiles of at most `size` coordinates `first, first + step, ...` that cover `extent` coordinates.

    Residue class after residue class, each cut into runs; the last run of a class may be shorter.
    """

    extent: int
    size: int
    step: int = 1

    @cached_property
    def order(self) -> Indices:
        """All coordinates, [extent], in the order of tiles and inside each tile."""
        classes = [np.arange(r, self.extent, self.step) for r in range(self._classes)]
        return np.concatenate([np.empty(0, dtype=np.int64), *classes])

    @cached_property
    def start(self) -> Indices:
        """Where each tile starts in `order`, [tiles]."""
        ends = np.cumsum(self._class_lengths)
        begins = ends - self._class_lengths
        runs = [np.arange(b, e, self.size) for b, e in zip(begins, ends, strict=True)]
        return np.concatenate([np.empty(0, dtype=np.int64), *runs])

    @cached_property
    def residue(self) -> Indices:
        """The residue class of each tile, [tiles]."""
        return np.repeat(np.arange(self._classes), -(-self._class_lengths // self.size))

    @property
    def first(self) -> Indices:
        """The first coordinate of each tile, [tiles]."""
        return self.order[self.start]

    @cached_property
    def count(self) -> Indices:
        """The number of coordinates of each tile, [tiles]."""
        return np.diff(self.start, append=self.extent)

    @property
    def tiles(self) -> int:
        """The number of tiles."""
        return len(self.start)

    @property
    def _classes(self) -> int:
        return min(self.step, self.extent)

    @property
    def _class_lengths(self) -> Indices:
        return -(-(self.extent - np.arange(self._classes)) // self.step)


@dataclass(frozen=True)
class SegmentTiling:
    """Boxes of one segment: the product of one tiling per axis, numbered row-major."""

    segment: Segment
    axes: tuple[AxisTiling, ...]

    @property
    def grid(self) -> tuple[int, ...]:
        """The number of tiles along each axis."""
        return tuple(axis.tiles for axis in self.axes)

    @property
    def tiles(self) -> int:
        """The number of tiles."""
        return prod(self.grid)

    @cached_property
    def counts(self) -> Indices:
        """The number of tokens of each tile, [tiles]."""
        counts = np.ones(1, dtype=np.int64)
        for axis in self.axes:
            counts = np.multiply.outer(counts, axis.count).reshape(-1)
        return counts

    def places(self) -> tuple[Indices, Indices]:
        """The tile of each token, and its slot inside the tile; both [tokens], in token order."""
        tile, slot = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
        for axis in self.axes:
            axis_tile, axis_slot = _axis_places(axis)
            tile = (tile[:, None] * axis.tiles + axis_tile).reshape(-1)
            slot = (slot[:, None] * axis.count[axis_tile] + axis_slot).reshape(-1)
        return tile, slot


def _axis_places(axis: AxisTiling) -> tuple[Indices, Indices]:
    """The tile of each coordinate and its index inside it, both [extent]."""
    tile = np.repeat(np.arange(axis.tiles), axis.count)
    coordinate = np.argsort(axis.order)
    return tile[coordinate], coordinate - axis.start[tile[coordinate]]


@dataclass(frozen=True)
class Tiling:
    """The tiles of a whole space: those of its segments, one segment after the other."""

    space: Space
    segments: tuple[SegmentTiling, ...]

    @property
    def tiles(self) -> int:
        """The number of tiles."""
        return sum(segment.tiles for segment in self.segments)

    @cached_property
    def first_tile(self) -> tuple[int, ...]:
        """The number of each segment's first tile, and the number of all tiles at the end."""
        return (0, *np.cumsum([segment.tiles for segment in self.segments]).tolist())

    @cached_property
    def counts(self) -> Indices:
        """The number of tokens of each tile, int64 [tiles]."""
        return np.concatenate([segment.counts for segment in self.segments])

    @property
    def capacity(self) -> int:
        """The most tokens that any tile has."""
        return int(self.counts.max(initial=0))

    def tokens(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The gather table of kernels: token positions, int32 [tiles, capacity], and counts, int32 [tiles].

        The tokens of a tile are in row-major order over its axes; -1 fills the rest of the row.
        """
        return self._table, self.counts.astype(np.int32)

    @cached_property
    def _table(self) -> NDArray[np.int32]:
        table = np.full((self.tiles, self.capacity), -1, dtype=np.int32)
        for tiling, first in zip(self.segments, self.first_tile, strict=False):
            if tiling.tiles:
                tile, slot = tiling.places()
                offset = tiling.segment.offset
                table[first + tile, slot] = np.arange(offset, offset + tiling.segment.size)
        return table
