"""The sides of a route in units and in tiles: a tile cuts a unit into equal parts, or is all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import BoundIR, Segment, Space
from attndsl.ir.expr import Side
from attndsl.ir.plan import unit_of_token, unit_sizes
from attndsl.ir.route_units import route_table, routed_segment
from attndsl.ir.units import block_box
from attndsl.schedule.build import filled
from attndsl.schedule.tiling import AxisTiling, SegmentTiling, Tiling

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class UnitSide:
    """One side in units and in tiles. unit: of each token. sizes: tokens of each unit."""

    unit: Array
    sizes: Array
    tiling: Tiling

    @cached_property
    def tiles(self) -> tuple[Array, Array]:
        """The tiles in which tokens of each unit lie: where those of a unit start, and the tiles."""
        tokens, counts = self.tiling.tokens()
        tile = np.empty(len(self.unit), dtype=np.int64)
        tile[tokens[tokens >= 0]] = np.repeat(np.arange(len(tokens)), counts)
        pairs = np.unique(self.unit * self.tiling.tiles + tile)
        unit, found = np.divmod(pairs, max(self.tiling.tiles, 1))
        return np.concatenate([[0], np.cumsum(np.bincount(unit, minlength=len(self.sizes)))]), found

    @cached_property
    def count(self) -> Array:
        """The number of tiles of each unit."""
        return np.diff(self.tiles[0])

    def tile(self, unit: Array, place: Array) -> Array:
        """The tile at a place inside a unit."""
        first, found = self.tiles
        tile: Array = found[first[unit] + place]
        return tile


def unit_side(ir: BoundIR, side: Side, tokens: int) -> UnitSide:
    """One side of a bound pattern's route. tokens: of a tile at most."""
    assert ir.route is not None
    space, name = (ir.query_space, ir.route.queries) if side == "q" else (ir.key_space, ir.route.keys)
    segment = routed_segment(ir.route, space, name)
    unit_box = block_box(ir.route.block(name), segment) if name else (1,) * len(segment.axes)
    table, block = route_table(ir, side)
    unit = unit_of_token(space.size, block, table)
    tiling = _tiling(space, segment, tile_box(unit_box, tokens))
    return UnitSide(unit, unit_sizes(space.size, block, table), tiling)


def tile_box(unit: Sequence[int], tokens: int) -> tuple[int, ...]:
    """The largest box of at most so many tokens that cuts a unit into equal parts, long on the last axes."""
    sides = [[part for part in range(1, size + 1) if size % part == 0] or [1] for size in unit]
    boxes = (box for box in product(*sides) if prod(box) <= tokens)
    return max(boxes, key=lambda box: (prod(box), box[::-1]))


def _tiling(space: Space, segment: Segment, box: tuple[int, ...]) -> Tiling:
    """The routed segment in boxes, and all others in boxes of as many tokens."""
    own = SegmentTiling(segment, tuple(map(AxisTiling, segment.extents, box)))
    return Tiling(
        space, tuple(own if each == segment else filled(each, prod(box)) for each in space.segments)
    )
