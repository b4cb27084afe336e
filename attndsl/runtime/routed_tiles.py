"""Tiles of any tokens: those of a plan's units, and queries gathered by the unit that they attend to.

A tile lies in one segment. Kernels read its tokens from a table, so that they need not be neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.codegen.cpp import padded
from attndsl.ir.bound import Space
from attndsl.ir.evaluate import coordinates as coordinates_of
from attndsl.runtime.call import CTiling

Array = NDArray[Any]

Q_TILE, KV_TILE = 32, 64
"""The most tokens of a tile of C++ kernels; see `schedule/cost.py`."""


@dataclass(frozen=True, eq=False)
class TokenTiles:
    """Tiles of one side.

    tokens: int32 [tiles, capacity], where numbers past a tile's count repeat its first token. counts: int32
    [tiles]. segment: the segment that each tile lies in. groups: what each tile was cut from. slots: int32
    [tiles, capacity], where results for each token go, if tokens stand in several tiles.
    """

    space: Space
    tokens: NDArray[np.int32]
    counts: NDArray[np.int32]
    segment: NDArray[np.int64]
    groups: NDArray[np.int64]
    slots: NDArray[np.int32] | None = None

    @cached_property
    def coordinates(self) -> NDArray[np.int32]:
        """[axes, tiles, capacity]: where the tokens are on each axis of their own segment."""
        axes = max(len(segment.axes) for segment in self.space.segments)
        result = np.zeros((axes, *self.tokens.shape), dtype=np.int32)
        for number, segment in enumerate(self.space.segments):
            rows = slice(None) if len(self.space.segments) == 1 else np.flatnonzero(self.segment == number)
            if segment.size:
                result[: len(segment.axes), rows] = coordinates_of(segment, self.tokens[rows])
        return result

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        """The least and the largest coordinate of each tile, int64 [axes, tiles]."""
        at = self.coordinates
        return at.min(-1).astype(np.int64), at.max(-1).astype(np.int64)

    def struct(self, needs_coordinates: bool) -> CTiling:
        """The tiles in C; they point to the arrays of this object, which must live as long."""
        return CTiling(
            self.tokens.ctypes.data,
            self.counts.ctypes.data,
            self.coordinates.ctypes.data if needs_coordinates else None,
            len(self.counts),
            self.tokens.shape[1],
            None if self.slots is None else self.slots.ctypes.data,
        )


def cut(space: Space, tokens: Array, groups: Array, size: int, slots: Array | None = None) -> TokenTiles:
    """Tiles of at most `size` tokens, each from one group.

    tokens: [n]. groups: [n], ascending; tokens of a group lie in one segment.
    """
    lengths = np.bincount(groups)
    tiles = -(-lengths // size)
    rank = np.arange(len(groups)) - (np.cumsum(lengths) - lengths)[groups]
    tile, place = (np.cumsum(tiles) - tiles)[groups] + rank // size, rank % size
    first = np.flatnonzero(place == 0)
    return TokenTiles(
        space,
        _table(tokens, tile, place, first, padded(size)),
        np.bincount(tile, minlength=len(first)).astype(np.int32),
        segment_of(space, tokens[first]),
        groups[first].astype(np.int64),
        None if slots is None else _table(slots, tile, place, first, padded(size)),
    )


def _table(values: Array, tile: Array, place: Array, first: Array, capacity: int) -> NDArray[np.int32]:
    table = np.repeat(values[first].astype(np.int32)[:, None], capacity, axis=1)
    table[tile, place] = values
    return table


def segment_of(space: Space, tokens: Array) -> NDArray[np.int64]:
    """The number of the segment that each token lies in."""
    if len(space.segments) == 1:
        return np.zeros(len(tokens), dtype=np.int64)
    ends = np.cumsum([segment.size for segment in space.segments])
    return np.searchsorted(ends, tokens, side="right").astype(np.int64)


@dataclass(frozen=True, eq=False)
class UnitTiles:
    """The tiles of all units of one side. first: int64 [units + 1], each unit's first tile."""

    tiles: TokenTiles
    first: NDArray[np.int64]


def cut_units(space: Space, unit: Array, units: int, size: int) -> UnitTiles:
    """Tiles of at most `size` tokens. unit: int64 [tokens], the unit of each token."""
    segments = len(space.segments)
    groups = unit * segments + segment_of(space, np.arange(len(unit)))
    order = np.argsort(groups, kind="stable")
    tiles = cut(space, order, groups[order], size)
    first = np.searchsorted(tiles.groups, np.arange(units + 1) * segments)
    return UnitTiles(tiles, first.astype(np.int64))


def even_size(unit: int, most: int) -> int:
    """Tokens of a tile, at most `most`, that cut units of so many tokens into equal parts."""
    parts = max(1, -(-unit // most))
    return max(1, -(-unit // parts))
