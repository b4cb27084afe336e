"""The panel for long sequences: the block map, a pixel per tile pair or an average of several."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from attndsl.ir.bound import Segment
from attndsl.schedule.tiling import Tiling
from attndsl.show import palette
from attndsl.show.coverage import coverage, merged
from attndsl.show.panel import Array, Box, add_axes, count_ticks, separate_segments, show_image
from attndsl.show.subject import Subject

MOST_PIXELS = 1000


@dataclass(frozen=True)
class TilesPanel:
    """Which kv tiles each q tile visits; a pixel that stands for several tile pairs mixes their colours."""

    subject: Subject

    @property
    def title(self) -> str:
        """What a pixel is."""
        rows, columns = merged(self.subject.block_map, MOST_PIXELS)
        return (
            "Tiles"
            if rows == columns == 1
            else f"Tiles (a pixel averages {rows} \u00d7 {columns} tile pairs)"
        )

    def width(self, height: float) -> float:
        """As wide as high."""
        return height

    def draw(self, figure: Figure, box: Box) -> None:
        """Draw the block map with segments marked."""
        axes = add_axes(figure, box)
        block_map, schedule = self.subject.block_map, self.subject.schedule
        show_image(axes, mixed_colours(coverage(block_map, MOST_PIXELS)))
        axes.images[0].set_extent((0, block_map.columns, block_map.rows, 0))
        count_ticks(axes)
        axes.set_xlabel("kv tile")
        axes.set_ylabel("q tile")
        separate_segments(axes, _places(schedule.q_tiling), _places(schedule.kv_tiling))


def mixed_colours(shares: Array) -> Array:
    """Colours [rows, columns, 3] from the shares [rows, columns, 2] of full and partial tiles.

    The hue is the mean over the visited tiles. The depth is the root of their share, not the share itself,
    so that sparse parts of long sequences stay visible.
    """
    visited = shares.sum(axis=-1, keepdims=True)
    weights = shares / np.where(visited > 0, visited, 1.0)
    hue = weights @ np.stack([palette.rgb(palette.FULL), palette.rgb(palette.PARTIAL)])
    depth = np.sqrt(np.clip(visited, 0.0, 1.0))
    mixed: Array = depth * hue + (1 - depth) * palette.rgb(palette.SKIPPED)
    return np.clip(mixed, 0.0, 1.0)


def _places(tiling: Tiling) -> list[tuple[Segment, float]]:
    pairs = zip(tiling.segments, tiling.first_tile, strict=False)
    return [(each.segment, first) for each, first in pairs if each.tiles]
