"""What one query sees in a space of two or three axes, ready to be drawn slice by slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.diagnostics import AttnScheduleError
from attndsl.schedule.tiling import SegmentTiling
from attndsl.show.subject import MASKED_PAIR, PARTIAL_PAIR, Subject

Array = NDArray[Any]

MOST_SLICES = 12


@dataclass(frozen=True)
class Neighborhood:
    """The classes of one query's pairs over the main key segment, uint8 [slices, rows, columns].

    A space of two axes is one slice. `query` has one coordinate per axis. `same_space` says whether the
    query itself, and its tile, have a place among the keys.
    """

    subject: Subject
    query: tuple[int, ...]
    classes: Array

    @property
    def same_space(self) -> bool:
        """Whether queries and keys live in one space."""
        return self.subject.ir.query_space == self.subject.ir.key_space

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the key axes, with a space before the number of an axis that has no name."""
        names = self.subject.main_segments[1].axes
        return tuple(name.replace("axis", "axis ") if name[4:].isdigit() else name for name in names)

    @property
    def query_tile(self) -> list[tuple[int, int] | None]:
        """First and last coordinate (exclusive) of the query's tile per axis; None for a tile with gaps."""
        tiling = self.subject.schedule.q_tiling.segments[0]
        return [_interval(tiling, axis, x) for axis, x in enumerate(self.query)]

    @property
    def has_outline(self) -> bool:
        """Whether the query's tile is a box without gaps among the keys."""
        return self.same_space and None not in self.query_tile

    def slices(self) -> list[int]:
        """Up to `MOST_SLICES` slices, evenly apart, around those visited; the query's own is one of them."""
        if len(self.query) == 2:
            return [0]
        own = self.query[0] if self.same_space else 0
        visited = np.flatnonzero((self.classes >= MASKED_PAIR).any(axis=(1, 2)))
        first, last = visited.min(initial=own), visited.max(initial=own)
        step = int(-(-(last - first + 1) // MOST_SLICES))
        choices = np.arange(own % step, len(self.classes), step)
        middle = int(np.abs(choices - (first + last) / 2).argmin())
        start = max(0, min(middle - MOST_SLICES // 2, len(choices) - MOST_SLICES))
        return [int(chosen) for chosen in choices[start : start + MOST_SLICES]]

    @property
    def visible(self) -> int:
        """Number of keys of the main segment that the query sees."""
        return int((self.classes >= PARTIAL_PAIR).sum())


def neighborhood(subject: Subject, query: Sequence[int] | None = None) -> Neighborhood | None:
    """The neighborhood of a query, given by its coordinates (default: the middle of the space).

    None for spaces that are not of two or three axes. Raises AttnScheduleError A0560 for a query outside.
    """
    queries, keys = subject.main_segments
    chosen = tuple(query) if query is not None else tuple(extent // 2 for extent in queries.extents)
    inside = len(chosen) == len(queries.extents) and all(
        0 <= x < n for x, n in zip(chosen, queries.extents, strict=True)
    )
    if not inside:
        raise AttnScheduleError(
            "A0560",
            f"the query {_tuple(chosen)} lies outside of the space {_tuple(queries.extents)}",
            help=f"give {len(queries.extents)} coordinates, each from 0 to its extent - 1",
        )
    if len(keys.extents) not in (2, 3) or len(queries.extents) != len(keys.extents):
        return None
    token = queries.offset + int(np.ravel_multi_index(chosen, queries.extents))
    classes = subject.key_classes(token)[keys.offset : keys.offset + prod(keys.extents)]
    return Neighborhood(subject, chosen, classes.reshape((-1, *keys.extents[-2:])))


def _interval(tiling: SegmentTiling, axis: int, coordinate: int) -> tuple[int, int] | None:
    along = tiling.axes[axis]
    if along.step > 1 and along.count.max() > 1:
        return None
    tile = int(np.searchsorted(along.first, coordinate, side="right")) - 1
    first = int(along.first[tile])
    return first, first + int(along.count[tile])


def _tuple(numbers: Sequence[int]) -> str:
    return f"({', '.join(map(str, numbers))})"
