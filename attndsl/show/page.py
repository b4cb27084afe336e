"""Text and colour squares at places of the page given in inches."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attndsl.show import palette

SQUARE = 0.11
"""Inches of a colour square."""


def text(figure: Figure, left: float, bottom: float, words: str, **style: Any) -> float:
    """Words at a place; returns where they end."""
    width, height = figure.get_size_inches()
    drawn = figure.text(left / width, bottom / height, words, **style)
    return float(drawn.get_window_extent().x1 / figure.dpi)


def square(figure: Figure, left: float, bottom: float, colour: str, edge: str) -> float:
    """A colour square at a place; returns where it ends."""
    width, height = figure.get_size_inches()
    corner, size = (left / width, bottom / height), (SQUARE / width, SQUARE / height)
    patch = Rectangle(corner, *size, facecolor=colour, edgecolor=edge, linewidth=0.7)
    patch.set_transform(figure.transFigure)
    patch.set_clip_on(False)
    figure.add_artist(patch)
    return left + SQUARE


def edge_of(colour: str) -> str:
    """The outline of a square of a colour: only the lightest one needs a line."""
    return palette.LINE if colour == palette.SKIPPED else colour
