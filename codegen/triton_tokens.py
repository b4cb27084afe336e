"""Prints as Triton which tokens a tile holds: plain arithmetic on the tile's number, no table to load.

A token's place is the sum of a number that the whole tile shares (`q_base`) and one that every tile of a
segment has in common (`q_inside`), so that addresses inside a tile are computed once and a loop over tiles
adds one number. A tile has a power of two of lanes; lanes beyond its last token, and beyond the edge of the
space, do not exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.triton_axis import first_coordinate, times
from attndsl.schedule.tiling import SegmentTiling, Tiling

FEWEST_LANES = 16
"""The fewest rows and columns of a matrix product in Triton."""


def lanes_of(tiling: Tiling) -> int:
    """The lanes of every tile: a power of two, at least `FEWEST_LANES`."""
    most = max((prod(box(segment)) for segment in tiling.segments if segment.tiles), default=1)
    return max(FEWEST_LANES, power_of_two(most))


def power_of_two(number: int) -> int:
    """The smallest power of two that is not below `number`."""
    return 1 << max(number - 1, 0).bit_length()


def box(segment: SegmentTiling) -> tuple[int, ...]:
    """The most tokens of a tile along each axis."""
    return tuple(int(axis.count.max(initial=1)) for axis in segment.axes)


class TileTokens:
    """The text about one side's tiles.

    Names begin with the side, `q` or `kv`; the number of the tile is in `<side>_tile`. lanes: of every tile.
    cut: whether some lanes of some tiles do not exist; `<side>_exists` then tells which do. loop_invariant:
    whether the lanes' places inside a tile are the same in all tiles. open: whether the text is the same for
    other lengths of the space, which comes as `<side>_tokens`. places: the input that says where in memory
    each token is, -1 for none, if tiles hold tokens from anywhere.
    """

    def __init__(self, side: tile.Side, tiling: Tiling, places: str = "") -> None:
        self.side = side
        self.tiling = tiling
        self.places = places
        self.lanes = lanes_of(tiling)
        self.lane = f"{side}_lane"
        axes = [axis for segment in tiling.segments for axis in segment.axes]
        self.open = len(axes) == 1 and axes[0].step == 1
        self.numbers = [n for n, segment in enumerate(tiling.segments) if segment.tiles]
        self.loop_invariant = len({self._inside(number) for number in self.numbers}) == 1
        self.cut = bool((tiling.counts < self.lanes).any())

    def base_lines(self) -> Iterator[str]:
        """Where the tile's first token is: `<side>_base`."""
        for number in self.numbers:
            yield from self._first_lines(number)
        yield f"{self.side}_base = {self._choice([self._base(number) for number in self.numbers])}"

    def inside_lines(self) -> Iterator[str]:
        """The places of the lanes, counted from the first token: `<side>_inside`."""
        yield f"{self.side}_inside = {self._choice([self._inside(number) for number in self.numbers])}"

    def exists_lines(self) -> Iterator[str]:
        """Which lanes hold a token: `<side>_exists`, if `cut`."""
        if self.cut:
            tests = [self._exists(number) for number in self.numbers]
            yield f"{self.side}_exists = {' & '.join(test for test in tests if test)}"

    def place_lines(self) -> Iterator[str]:
        """Where in memory the lanes are: `<side>_place`, if `places` says so."""
        if self.places:
            yield f"{self.side}_place = tl.load({self.places}_values + {self.side}_token)"

    def coordinate_lines(self, number: int, axis: int, clamped: bool) -> Iterator[str]:
        """The coordinates of the lanes on one axis of a segment: `q_at_<axis>`, `k_at_<axis>`.

        They mean nothing in tiles of other segments, and in lanes that do not exist. clamped: they then are
        coordinates of some token all the same.
        """
        text = self._coordinate(number, axis)
        if clamped and (self.cut or len(self.numbers) > 1):
            text = f"tl.minimum(tl.maximum({text}, 0), {self._last(number, axis)})"
        yield f"{self.coordinate_name(number, axis)} = {text}"

    def coordinate_name(self, number: int, axis: int) -> str:
        """The name of the coordinates on one axis of a segment."""
        return f"{self.side[0]}_at_{self._axis_name(number, axis)}"

    def first_of(self, number: int, axis: int) -> str:
        """The first coordinate of the tile on one axis of a segment."""
        many = self.tiling.segments[number].grid[axis] > 1
        return f"{self.side}_first_{self._axis_name(number, axis)}" if many else "0"

    def comment(self) -> str:
        """The shape of the tiles, in words."""
        parts = [_described(self.tiling.segments[number]) for number in self.numbers]
        if self.open:
            segment = self.tiling.segments[0].segment
            parts = [f"up to {self.lanes} tokens of {segment.name}({segment.axes[0]})"]
        return f"{'queries' if self.side == 'q' else 'keys'} of a tile: {', or '.join(parts)}"

    def _last(self, number: int, axis: int) -> str:
        """The last coordinate on one axis of a segment."""
        if self.open:
            return f"{self.side}_tokens - 1"
        return str(self.tiling.segments[number].axes[axis].extent - 1)

    def _axis_name(self, number: int, axis: int) -> str:
        segment = self.tiling.segments[number].segment
        several = len(self.tiling.segments) > 1
        return f"{segment.name}_{segment.axes[axis]}" if several else segment.axes[axis]

    def _first_lines(self, number: int) -> Iterator[str]:
        """The first coordinate on each axis of a tile that lies in segment `number`."""
        segment, first_tile = self.tiling.segments[number], self.tiling.first_tile[number]
        local = f"({self.side}_tile - {first_tile})" if first_tile else f"{self.side}_tile"
        for axis, tiles in enumerate(segment.grid):
            if tiles > 1:
                below = prod(segment.grid[axis + 1 :])
                place = local if below == 1 else f"{local} // {below}"
                place = f"{place} % {tiles}" if prod(segment.grid[:axis]) > 1 else place
                yield f"{self.first_of(number, axis)} = {first_coordinate(place, segment.axes[axis])}"

    def _base(self, number: int) -> str:
        segment = self.tiling.segments[number]
        firsts = ((self.first_of(number, axis), stride) for axis, stride in enumerate(strides(segment)))
        terms = [times(first, stride) for first, stride in firsts if first != "0"]
        offset = segment.segment.offset
        return " + ".join([*terms, *([str(offset)] if offset or not terms else [])])

    def _choice(self, texts: Sequence[str]) -> str:
        """The text for the segment that the tile lies in."""
        choice = texts[-1]
        for number, text in zip(reversed(self.numbers[:-1]), reversed(texts[:-1]), strict=True):
            if text != choice:
                end = self.tiling.first_tile[number + 1]
                choice = f"tl.where({self.side}_tile < {end}, {text}, {choice})"
        return choice

    def _lane_on(self, number: int, axis: int) -> str:
        """The position of each lane along one axis of its tile; '0' where tiles are one token wide."""
        if self.open and self.tiling.tiles == 1:
            return self.lane
        sizes = box(self.tiling.segments[number])
        below, above = prod(sizes[axis + 1 :]), prod(sizes[:axis])
        if sizes[axis] == 1:
            return "0"
        text = self.lane if below == 1 else f"{self.lane} // {below}"
        return f"{text} % {sizes[axis]}" if above > 1 or prod(sizes) < self.lanes else text

    def _inside(self, number: int) -> str:
        segment = self.tiling.segments[number]
        step = even_distance(segment)
        if step is not None:
            return times(self.lane, step)
        distances = (axis.step * stride for axis, stride in zip(segment.axes, strides(segment), strict=True))
        terms = [times(self._lane_on(number, axis), distance) for axis, distance in enumerate(distances)]
        return " + ".join(term for term in terms if term != "0")

    def _coordinate(self, number: int, axis: int) -> str:
        first = self.first_of(number, axis)
        lane = times(self._lane_on(number, axis), self.tiling.segments[number].axes[axis].step)
        if lane == "0":  # all lanes share the coordinate, but a vector is asked for
            lane = f"{self.lane} * 0"
        return lane if first == "0" else f"{first} + {lane}"

    def _exists(self, number: int) -> str:
        """The test of lanes in tiles of segment `number`, true in all others; empty where all lanes exist."""
        segment = self.tiling.segments[number]
        if self.open and segment.tiles == 1:
            return f"({self.lane} < {self.side}_tokens)"
        tests = [f"({self.lane} < {prod(box(segment))})"] if prod(box(segment)) < self.lanes else []
        for axis, tiling in enumerate(segment.axes):
            if self.open and self.cut:
                tests.append(f"({self._coordinate(number, axis)} < {self.side}_tokens)")
            elif (tiling.count < box(segment)[axis]).any():
                tests.append(f"({self._coordinate(number, axis)} < {tiling.extent})")
        if not tests or len(self.numbers) == 1:
            return " & ".join(tests)
        return f"({self._elsewhere(number)} | ({' & '.join(tests)}))"

    def _elsewhere(self, number: int) -> str:
        """Whether the tile lies in another segment."""
        start, end = self.tiling.first_tile[number], self.tiling.first_tile[number + 1]
        tests = [f"({self.side}_tile < {start})"] if start else []
        tests += [f"({self.side}_tile >= {end})"] if end < self.tiling.tiles else []
        return " | ".join(tests)


@dataclass(frozen=True)
class Sides:
    """The tiles of both sides in one kernel; values [q, kv] have the owner's tokens in their rows."""

    q: TileTokens
    kv: TileTokens
    owner: tile.Side

    @property
    def own(self) -> TileTokens:
        """The side whose tiles programs own."""
        return self.of(self.owner)

    @property
    def visited(self) -> TileTokens:
        """The side whose tiles the loops visit."""
        return self.kv if self.owner == "q" else self.q

    @property
    def open(self) -> list[TileTokens]:
        """The sides whose length comes as a number."""
        return [each for each in (self.q, self.kv) if each.open]

    def of(self, side: tile.Side) -> TileTokens:
        """The tiles of a side."""
        return self.q if side == "q" else self.kv

    def index(self, side: tile.Side) -> str:
        """How a vector of one side becomes a tile's column or row."""
        return "[:, None]" if side == self.owner else "[None, :]"


def _described(segment: SegmentTiling) -> str:
    sizes = " x ".join(map(str, box(segment)))
    steps = [axis.step for axis in segment.axes]
    apart = f", {' x '.join(map(str, steps))} apart," if max(steps) > 1 else ""
    named = zip(segment.segment.axes, segment.segment.extents, strict=True)
    extents = ", ".join(f"{name} = {extent}" for name, extent in named)
    return f"{sizes} tokens{apart} of {segment.segment.name}({extents})"


def strides(segment: SegmentTiling) -> tuple[int, ...]:
    """The distance in tokens of neighbours along each axis."""
    extents = segment.segment.extents
    return tuple(prod(extents[axis + 1 :]) for axis in range(len(extents)))


def even_distance(segment: SegmentTiling) -> int | None:
    """The distance between the lanes of a tile, if it is the same between all of them."""
    places = lane_places(segment)
    distances = np.unique(np.diff(places))
    return int(distances[0]) if len(distances) == 1 else 1 if len(places) == 1 else None


def lane_places(segment: SegmentTiling) -> NDArray[np.int64]:
    """The places of a whole tile's lanes, counted from its first token."""
    places = np.zeros(1, dtype=np.int64)
    for axis, size, stride in zip(segment.axes, box(segment), strides(segment), strict=True):
        places = (places[:, None] + np.arange(size) * axis.step * stride).reshape(-1)
    return places
