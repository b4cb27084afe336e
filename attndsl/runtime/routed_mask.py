"""The static mask over tiles of any tokens: which pairs of tiles it shows, hides, or leaves undecided.

Interval arithmetic over the smallest box around each tile decides; that is sound for any tokens, and exact
where tiles are runs along an axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import BoundIR, Segment, Space
from attndsl.ir.expr import FALSE, TRUE, Expr, Position
from attndsl.ir.intervals import UNKNOWN_NUMBER, UNKNOWN_TRUTH, Truth, Value, between, evaluate
from attndsl.passes.simplify import simplify
from attndsl.runtime.routed_tiles import TokenTiles
from attndsl.schedule.block_map import FULL
from attndsl.schedule.heads import HeadClass, head_classes
from attndsl.schedule.schedule import Schedule
from attndsl.schedule.tiling import AxisTiling, SegmentTiling, Tiling

Array = NDArray[Any]
EMPTY = -1
CHUNK = 2**20
"""Pairs of tiles that are classified at once."""


@dataclass(frozen=True, eq=False)
class StaticMask:
    """The mask of a bound pattern without its plan. A residual is the whole mask of a region."""

    ir: BoundIR

    @cached_property
    def _classes(self) -> tuple[list[HeadClass], NDArray[np.int64]]:
        return head_classes(self.ir)

    def class_of(self, head: int) -> int:
        """The number of the class of heads with the same mask."""
        return int(self._classes[1][head])

    @cached_property
    def residuals(self) -> tuple[Expr, ...]:
        """The predicates of PARTIAL tiles: of region n, number n + 1."""
        return tuple(simplify(region.visible) for region in self.ir.regions)

    @property
    def shows_all(self) -> bool:
        """Whether no pair is hidden."""
        return all(residual is TRUE for residual in self.residuals)

    def classify(
        self, number: int, queries: TokenTiles, keys: TokenTiles, row: Array, column: Array
    ) -> NDArray[np.int16]:
        """For pairs of tiles FULL, EMPTY, or the number of their residual. number: the class of heads."""
        found = np.zeros(len(row), dtype=np.int16)
        if self.shows_all:
            return found
        for start in range(0, len(row), CHUNK):
            part = slice(start, start + CHUNK)
            found[part] = self._classify(self._classes[0][number], queries, keys, row[part], column[part])
        return found

    def _classify(
        self, heads: HeadClass, queries: TokenTiles, keys: TokenTiles, row: Array, column: Array
    ) -> NDArray[np.int16]:
        found = np.full(len(row), EMPTY, dtype=np.int16)
        for number, (region, mask) in enumerate(zip(self.ir.regions, heads.masks, strict=True), 1):
            inside: Any = slice(None)
            if len(self.ir.regions) > 1:
                here = (queries.segment[row] == region.query) & (keys.segment[column] == region.key)
                inside = np.flatnonzero(here)
            truth = _truth(mask, queries, keys, row[inside], column[inside])
            found[inside] = np.where(truth.may_hold, np.where(truth.may_fail, number, FULL), EMPTY)
        return found

    def schedule(self, q_tile: int, kv_tile: int) -> Schedule:
        """What printers ask of a schedule: sizes of tiles and predicates. Plans bring tiles and maps."""
        q, kv = (
            _tiling(space, size)
            for space, size in ((self.ir.query_space, q_tile), (self.ir.key_space, kv_tile))
        )
        regions = tuple((region.query, region.key) for region in self.ir.regions)
        one = (1,)
        return Schedule(
            self.ir, q, kv, (), self._classes[1], self.residuals, regions, (q_tile,), (kv_tile,), one, one
        )


def _truth(mask: Expr, queries: TokenTiles, keys: TokenTiles, row: Array, column: Array) -> Truth:
    """Whether the mask may hold and may fail inside pairs of tiles."""
    if mask in (TRUE, FALSE):
        return Truth(np.asarray(mask is TRUE), np.asarray(mask is FALSE))
    bounds = {"q": (queries.bounds, row), "k": (keys.bounds, column)}

    def leaf(node: Expr) -> Value:
        if isinstance(node, Position) and isinstance(node.axis, int):
            (low, high), tile = bounds[node.side]
            return between(low[node.axis][tile], high[node.axis][tile])
        return UNKNOWN_TRUTH if node.type == "bool" else UNKNOWN_NUMBER

    found = evaluate(mask, leaf)
    assert isinstance(found, Truth)
    return found


def _tiling(space: Space, size: int) -> Tiling:
    """Runs of tokens, whatever the axes, at least one tile of `size`."""
    parts = []
    for segment in space.segments:
        rows = Segment(segment.name, ("row",), (max(segment.size, size),), segment.offset)
        parts.append(SegmentTiling(rows, (AxisTiling(rows.size, size),)))
    return Tiling(space, tuple(parts))
