"""Panels in which every pair of tokens is a pixel: the mask in token order, and the same tile by tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from attndsl.show import palette
from attndsl.show.panel import Array, Box, add_axes, count_ticks, separate_segments, show_image
from attndsl.show.subject import PARTIAL_PAIR, Subject

MOST_LINES = 80
"""With more tiles than this on a side, lines between tiles would hide what they separate."""


@dataclass(frozen=True)
class MaskPanel:
    """The mask as it lies in memory, in black and white: a row for each query, a column for each key."""

    subject: Subject
    classes: Array
    title: str = "Mask, tokens in memory order"

    def width(self, height: float) -> float:
        """As wide as high."""
        return height

    def draw(self, figure: Figure, box: Box) -> None:
        """Draw the mask with segments marked."""
        axes = add_axes(figure, box)
        show_image(axes, palette.MASK_COLOURS[(self.classes >= PARTIAL_PAIR).astype(int)])
        count_ticks(axes)
        axes.set_xlabel("key token")
        axes.set_ylabel("query token")
        ir = self.subject.ir
        query = [(each, each.offset) for each in ir.query_space.segments if each.size]
        key = [(each, each.offset) for each in ir.key_space.segments if each.size]
        separate_segments(axes, query, key)


@dataclass(frozen=True)
class SortedPanel:
    """The mask with its tokens sorted by tile, as a kernel walks through it; lines between tiles."""

    subject: Subject
    classes: Array
    title: str = "Tiles, tokens sorted by tile"

    def width(self, height: float) -> float:
        """As wide as high."""
        return height

    def draw(self, figure: Figure, box: Box) -> None:
        """Draw the sorted mask and the grid of tiles."""
        axes = add_axes(figure, box)
        rows = np.argsort(self.subject.query_tiles, kind="stable")
        columns = np.argsort(self.subject.key_tiles, kind="stable")
        show_image(axes, palette.CLASS_COLOURS[self.classes[np.ix_(rows, columns)]])
        schedule = self.subject.schedule
        for line, tiling in ((axes.axhline, schedule.q_tiling), (axes.axvline, schedule.kv_tiling)):
            if tiling.tiles <= MOST_LINES:
                for place in np.cumsum(tiling.counts)[:-1]:
                    line(place, color="white", linewidth=0.5)
        _tile_ticks(axes.xaxis, schedule.kv_tiling.counts)
        _tile_ticks(axes.yaxis, schedule.q_tiling.counts)
        axes.set_xlabel("kv tile")
        axes.set_ylabel("q tile")


def _tile_ticks(axis: Axis, counts: Array) -> None:
    """A few tile numbers, each in the middle of its tile."""
    middles = np.cumsum(counts) - counts / 2
    step = max(1, -(-len(counts) // 6))
    step = next(nice for nice in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if nice >= step)
    numbers = np.arange(0, len(counts), step)
    axis.set_ticks(middles[numbers].tolist(), [str(number) for number in numbers])
