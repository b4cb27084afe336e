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

    def children(self) -> tuple[Pairs, Indices]:
        """All pairs of boxes one level finer, and for each the index of the pair it comes from."""
        origin, coordinates = np.arange(len(self)), list(self.coordinates)
        for dimension, axis in enumerate(self.axes.all):
            first, count = axis.children(self.level)
            box = coordinates[dimension]
            if len(first) == axis.boxes(self.level + 1):
                continue  # this axis is as fine as it gets
            repeated, inside = ragged(count[box])
            coordinates = [c[repeated] for c in coordinates]
            coordinates[dimension] = first[box[repeated]] + inside
            origin = origin[repeated]
        return pairs_at(self.axes, self.level + 1, coordinates), origin


def pairs_at(axes: Axes, level: int, coordinates: list[Indices]) -> Pairs:
    """Pairs of boxes given by their numbers along each dimension."""
    query, key = axes.split(level)
    queries = len(query)
    return Pairs(axes, level, row_major(coordinates[:queries], query), row_major(coordinates[queries:], key))


def all_pairs(axes: Axes, level: int) -> Pairs:
    """Every pair of boxes of a level."""
    query, key = (int(np.prod(grid)) for grid in axes.split(level))
    return Pairs(axes, level, np.repeat(np.arange(query), key), np.tile(np.arange(key), query))


def concatenated(axes: Axes, level: int, parts: list[Pairs]) -> Pairs:
    """All pairs of several lists of one level."""
    empty = np.empty(0, dtype=np.int64)
    query = np.concatenate([empty, *(part.query for part in parts)])
    return Pairs(axes, level, query, np.concatenate([empty, *(part.key for part in parts)]))
