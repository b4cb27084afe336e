"""Boxes of coordinates from coarse to fine: the levels on which the classifier walks down an axis.

Level 0 is the tiles. Negative levels join neighbouring tiles, twice as many per level and first those of one
residue class, up to a single box; positive levels halve tiles, down to single coordinates. A box of any
level is a range of `AxisTiling.order`.
"""

from __future__ import annotations

import numpy as np

from attndsl.schedule.ragged import Indices, ragged
from attndsl.schedule.tiling import AxisTiling


class Pyramid:
    """The boxes of one axis on every level."""

    def __init__(self, tiling: AxisTiling) -> None:
        self.tiling = tiling
        self._coarse = _coarser_levels(tiling)
        self._fine = [tiling.start]
        self._children: dict[int, tuple[Indices, Indices]] = {}

    @property
    def coarsest(self) -> int:
        """The level on which the whole axis is one box, 0 or negative."""
        return 1 - len(self._coarse)

    @property
    def finest(self) -> int:
        """The first level on which every box is one coordinate."""
        return int(self.tiling.count.max() - 1).bit_length()

    def starts(self, level: int) -> Indices:
        """Where each box of a level starts in `AxisTiling.order`; levels beyond the ends repeat the last."""
        if level <= 0:
            return self._coarse[min(-level, len(self._coarse) - 1)]
        while level >= len(self._fine) and len(self._fine[-1]) < self.tiling.extent:
            self._fine.append(_halved(self._fine[-1], self.tiling.extent))
        return self._fine[min(level, len(self._fine) - 1)]

    def boxes(self, level: int) -> int:
        """The number of boxes on a level."""
        return len(self.starts(level))

    def lengths(self, level: int) -> Indices:
        """The number of coordinates of each box."""
        return np.diff(self.starts(level), append=self.tiling.extent)

    def children(self, level: int) -> tuple[Indices, Indices]:
        """For each box of a level, its first box on the next finer level and how many it has there."""
        if level not in self._children:
            finer = self.starts(level + 1)
            first = np.searchsorted(finer, self.starts(level))
            self._children[level] = first, np.diff(first, append=len(finer))
        return self._children[level]

    def tiles(self, level: int) -> tuple[Indices, Indices]:
        """For each box of a level of at most 0, its first tile and the number of its tiles."""
        first = np.searchsorted(self.tiling.start, self.starts(level))
        return first, np.diff(first, append=self.tiling.tiles)


def _coarser_levels(tiling: AxisTiling) -> list[Indices]:
    """Starts per level, from the tiles upwards to one box."""
    levels, starts, group = [tiling.start], tiling.start, tiling.residue
    while len(starts) > 1:
        _, place = ragged(np.diff(np.flatnonzero(np.diff(group, prepend=-1)), append=len(group)))
        if not place.any():  # every residue class is one box by now: join classes
            place, group = np.arange(len(group)), np.zeros_like(group)
        starts, group = starts[place % 2 == 0], group[place % 2 == 0]
        levels.append(starts)
    return levels


def _halved(starts: Indices, extent: int) -> Indices:
    """Every box of two or more coordinates cut in the middle."""
    lengths = np.diff(starts, append=extent)
    box, half = ragged(np.minimum(lengths, 2))
    finer: Indices = starts[box] + half * ((lengths + 1) // 2)[box]
    return finer
