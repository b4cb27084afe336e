"""The panel that shows what one query sees, slice by slice, with its tile and the kv tiles around it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log

import matplotlib.patheffects as effects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attndsl.schedule.tiling import AxisTiling
from attndsl.show import palette
from attndsl.show.neighborhood import Neighborhood
from attndsl.show.panel import Box, add_axes, count_ticks, show_image

GAP = 0.1
"""Inches between slices."""
CAPTION = 0.16
"""Inches above each slice for its caption."""
WANTED_ASPECT = 1.25
LEAST_TILE = 0.06
"""Inches of a kv tile below which lines would hide it."""
HALO: list[effects.AbstractPathEffect] = [effects.withStroke(linewidth=2.0, foreground="white")]


@dataclass(frozen=True)
class NeighborhoodPanel:
    """Small multiples: a slice of the space per frame, in colours of what the query does with each key."""

    near: Neighborhood

    @property
    def title(self) -> str:
        """Which query it is."""
        return f"Keys of query ({', '.join(map(str, self.near.query))})"

    def width(self, height: float) -> float:
        """As wide as the slices need for the height."""
        columns, rows = self._grid()
        return columns * self._cell_height(height, rows) * self._aspect() + (columns - 1) * GAP

    def draw(self, figure: Figure, box: Box) -> None:
        """Draw all slices."""
        columns, rows = self._grid()
        height = self._cell_height(box.height, rows)
        width = height * self._aspect()
        caption = self._caption_height()
        for number, chosen in enumerate(self.near.slices()):
            left = box.left + number % columns * (width + GAP)
            bottom = box.bottom + box.height - (number // columns + 1) * (height + caption)
            bottom -= number // columns * self._row_gap()
            axes = add_axes(figure, Box(left, bottom, width, height))
            self._slice(axes, chosen, min(width, height))
            corner = number % columns == 0 and number // columns == rows - 1
            self._label(axes, chosen, corner)

    def _slice(self, axes: Axes, chosen: int, inches: float) -> None:
        show_image(axes, palette.CLASS_COLOURS[self.near.classes[chosen]])
        self._tile_lines(axes, inches)
        if self.near.same_space:
            self._query_tile(axes, chosen)

    def _tile_lines(self, axes: Axes, inches: float) -> None:
        """Thin white lines between kv tiles without gaps, where they are not too close."""
        for along, line in zip(self._last_two(), (axes.axhline, axes.axvline), strict=True):
            if along.step == 1 and along.size > 1 and inches / along.tiles >= LEAST_TILE:
                for place in along.first[1:]:
                    line(float(place), color="white", linewidth=0.35)

    def _query_tile(self, axes: Axes, chosen: int) -> None:
        """The outline of the query's tile, and a mark on the query itself."""
        *before, rows, columns = self.near.query_tile
        in_tile = all(part is not None and part[0] <= chosen < part[1] for part in before)
        if self.near.has_outline and in_tile and rows is not None and columns is not None:
            corner, size = (columns[0], rows[0]), (columns[1] - columns[0], rows[1] - rows[0])
            outline = Rectangle(corner, *size, fill=False, edgecolor=palette.QUERY, linewidth=0.9, zorder=3)
            outline.set_path_effects(HALO)
            axes.add_patch(outline)
        if len(self.near.query) == 2 or chosen == self.near.query[0]:
            y, x = self.near.query[-2:]
            (mark,) = axes.plot(x + 0.5, y + 0.5, "+", color=palette.QUERY, clip_on=False, zorder=4)
            mark.set(markersize=5, markeredgewidth=1.2, path_effects=HALO)

    def _label(self, axes: Axes, chosen: int, corner: bool) -> None:
        names = self.near.axes
        if len(names) == 3:
            own = self.near.same_space and chosen == self.near.query[0]
            weight, colour = ("bold", palette.QUERY) if own else ("normal", palette.FAINT)
            axes.set_title(f"{names[0]} = {chosen}", fontsize=6.5, pad=2, color=colour, fontweight=weight)
        count_ticks(axes, most=5 if len(names) == 2 else 2)
        if corner:
            axes.set_xlabel(names[-1])
            axes.set_ylabel(names[-2])
        else:
            axes.set_xticks([])
            axes.set_yticks([])

    def _last_two(self) -> list[AxisTiling]:
        return list(self.near.subject.schedule.kv_tiling.segments[0].axes[-2:])

    def _grid(self) -> tuple[int, int]:
        """Columns and rows of slices, about as wide as high."""
        slices = len(self.near.slices())
        choices = [(columns, ceil(slices / columns)) for columns in range(1, slices + 1)]

        def cost(choice: tuple[int, int]) -> float:
            columns, rows = choice
            empty = columns * rows - slices
            return abs(log(columns * self._aspect() / rows / WANTED_ASPECT)) + 0.1 * empty

        return min(choices, key=cost)

    def _aspect(self) -> float:
        """Width over height of one slice: that of the space, or a square where that would be a sliver."""
        _, rows, columns = self.near.classes.shape
        ratio = float(columns / rows)
        return ratio if 0.4 <= ratio <= 2.5 else 1.0

    def _caption_height(self) -> float:
        return CAPTION if len(self.near.axes) == 3 else 0.0

    def _row_gap(self) -> float:
        return 0.04

    def _cell_height(self, height: float, rows: int) -> float:
        return (height - (rows - 1) * self._row_gap()) / rows - self._caption_height()
