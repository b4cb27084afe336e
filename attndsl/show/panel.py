"""The parts that all panels share: a box on the page in inches, a framed set of axes, crisp images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from attndsl.ir.bound import Segment
from attndsl.show import palette

Array = NDArray[Any]

CRISP = 300
"""Images are enlarged to at least so many pixels per inch, so that viewers do not blur their cells."""


@dataclass(frozen=True)
class Box:
    """A rectangle on the page, in inches from its lower left corner."""

    left: float
    bottom: float
    width: float
    height: float


class Panel(Protocol):
    """One part of a picture: it says how wide it is for a height, and draws itself into a box."""

    @property
    def title(self) -> str:
        """What the panel shows."""

    def width(self, height: float) -> float:
        """Inches that the panel takes for a height in inches."""

    def draw(self, figure: Figure, box: Box) -> None:
        """Draw into a box of the page."""


def add_axes(figure: Figure, box: Box) -> Axes:
    """Axes that fill a box."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((box.left / width, box.bottom / height, box.width / width, box.height / height))
    axes.tick_params(pad=2)
    return axes


def show_image(axes: Axes, image: Array) -> None:
    """Colours [rows, columns, 3] with row 0 on top; pixel (i, j) covers [i, i + 1] x [j, j + 1]."""
    rows, columns = image.shape[:2]
    pixels = CRISP * _inches(axes) / np.array([columns, rows])
    across, down = np.maximum(1, np.ceil(pixels)).astype(int)
    enlarged = np.repeat(np.repeat((255 * image).astype(np.uint8), down, axis=0), across, axis=1)
    axes.imshow(enlarged, interpolation="nearest", aspect="auto", extent=(0, columns, rows, 0))


def _inches(axes: Axes) -> Array:
    """Width and height of axes on the page."""
    page = axes.get_figure()
    assert isinstance(page, Figure)
    inches: Array = np.asarray(axes.get_position().size) * page.get_size_inches()
    return inches


def count_ticks(axes: Axes, most: int = 5) -> None:
    """A few ticks at whole numbers on both axes."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=most, integer=True, steps=[1, 2, 4, 5, 10]))
        axis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def separate_segments(
    axes: Axes, query: Sequence[tuple[Segment, float]], key: Sequence[tuple[Segment, float]]
) -> None:
    """Lines where one segment ends and the next one starts; each segment with its place on the axis."""
    for _, place in query[1:]:
        axes.axhline(place, color=palette.FAINT, linewidth=0.8)
    for _, place in key[1:]:
        axes.axvline(place, color=palette.FAINT, linewidth=0.8)
