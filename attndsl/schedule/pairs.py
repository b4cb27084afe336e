"""Lists of box pairs: a query box and a key box of one region, both of the same level of their pyramids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.schedule.pyramid import Pyramid
from attndsl.schedule.ragged import Indices, ragged, row_major

Array = NDArray[Any]

CHUNK = 2**17
"""Pairs handled at once."""


@dataclass(frozen=True, eq=False)
class Axes:
    """The axes of a region's queries and of its keys."""

    query: tuple[Pyramid, ...]
    key: tuple[Pyramid, ...]

    @property
    def all(self) -> tuple[Pyramid, ...]:
        """The query axes, then the key axes: the dimensions of a region."""
        return self.query + self.key

    @property
    def coarsest(self) -> int:
        """The level on which every axis is one box."""
        return min(axis.coarsest for axis in self.all)

    @property
    def finest(self) -> int:
        """The first level on which every box is one coordinate."""
        return max(axis.finest for axis in self.all)

    def grid(self, level: int) -> tuple[int, ...]:
        """The number of boxes along each dimension."""
        return tuple(axis.boxes(level) for axis in self.all)

    def split(self, level: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The number of boxes along each query axis and along each key axis."""
        grid = self.grid(level)
        return grid[: len(self.query)], grid[len(self.query) :]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of boxes by their row-major numbers on one level, `query` and `key` both [pairs]."""

    axes: Axes
    level: int
    query: Indices
    key: Indices

    def __len__(self) -> int:
        return len(self.query)

    @cached_property
    def coordinates(self) -> tuple[Indices, ...]:
        """The box numbers along each dimension, each [pairs]."""
        query, key = self.axes.split(self.level)
        return (*np.unravel_index(self.query, query), *np.unravel_index(self.key, key))

    def where(self, chosen: Array | slice) -> Pairs:
        """The chosen pairs; `chosen` is a mask or a list of indices."""
        return Pairs(self.axes, self.level, self.query[chosen], self.key[chosen])

    def chunks(self, size: int = CHUNK) -> Iterator[Pairs]:
        """The same pairs in pieces that fit into the cache."""
        for start in range(0, len(self), size):
            yield self.where(slice(start, start + size))

    def tiles(self) -> Indices:
        """The number of pairs of tiles in each pair of boxes, for levels up to the tiles."""
        tiles = np.ones(len(self), dtype=np.int64)
        for axis, box in zip(self.axes.all, self.coordinates, strict=True):
            tiles *= axis.tiles(self.level)[1][box]
        return tiles

    def tokens(self) -> Indices:
        """The number of pairs of tokens in each pair of boxes."""
        tokens = np.ones(len(self), dtype=np.int64)
        for axis, box in zip(self.axes.all, self.coordinates, strict=True):
            tokens *= axis.lengths(self.level)[box]
        return tokens

    def children(self, rows: Array | None = None) -> tuple[Pairs, Indices]:
        """All pairs of boxes one level finer, and for each the index of the pair it comes from.

        rows: bool [query boxes of the finer level], to take only some query boxes.
        """
        axes, queries = self.axes, len(self.axes.query)
        query_grid, key_grid = axes.split(self.level + 1)
        coordinates = self.coordinates
        origin, places = _finer(axes.query, self.level, list(coordinates[:queries]))
        query = row_major(places, query_grid)
        if rows is not None:
            kept = rows[query]
            origin, query = origin[kept], query[kept]
        again, places = _finer(axes.key, self.level, [place[origin] for place in coordinates[queries:]])
        return Pairs(axes, self.level + 1, query[again], row_major(places, key_grid)), origin[again]


def _finer(axes: tuple[Pyramid, ...], level: int, places: list[Indices]) -> tuple[Indices, list[Indices]]:
    """The boxes one level finer inside boxes given along some axes, and the index of the box each is from."""
    origin = np.arange(len(places[0]))
    for number, axis in enumerate(axes):
        first, count = axis.children(level)
        if len(first) < axis.boxes(level + 1):  # else this axis is as fine as it gets
            box = places[number]
            repeated, inside = ragged(count[box])
            places = [place[repeated] for place in places]
            places[number] = first[places[number]] + inside
            origin = origin[repeated]
    return origin, places


def all_pairs(axes: Axes, level: int) -> Pairs:
    """Every pair of boxes of a level."""
    query, key = (int(np.prod(grid)) for grid in axes.split(level))
    return Pairs(axes, level, np.repeat(np.arange(query), key), np.tile(np.arange(key), query))


def concatenated(axes: Axes, level: int, parts: list[Pairs]) -> Pairs:
    """All pairs of several lists of one level."""
    empty = np.empty(0, dtype=np.int64)
    query = np.concatenate([empty, *(part.query for part in parts)])
    return Pairs(axes, level, query, np.concatenate([empty, *(part.key for part in parts)]))
