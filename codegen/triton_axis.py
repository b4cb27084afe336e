"""Prints as Triton where tiles begin along one axis: runs of neighbours, or runs inside residue classes."""

from __future__ import annotations

import numpy as np

from attndsl.schedule.tiling import AxisTiling


def first_coordinate(place: str, axis: AxisTiling) -> str:
    """The first coordinate of tile `place` of an axis with more than one tile."""
    of_class = np.bincount(axis.residue)
    long, short = int(of_class[0]), int(of_class[-1])
    if axis.step == 1:
        return times(place, axis.size)
    if long == short:
        return _progression(place, long, axis)
    many = int((of_class == long).sum())  # classes with one tile more come first
    later = _progression(f"({place} - {many * long})", short, axis)
    return f"tl.where({place} < {many * long}, {_progression(place, long, axis)}, {many} + {later})"


def _progression(place: str, tiles: int, axis: AxisTiling) -> str:
    """The first coordinate where every residue class has `tiles` tiles."""
    if tiles == 1:
        return place
    grouped = place if place.isidentifier() or place[0] == "(" else f"({place})"
    return f"{grouped} // {tiles} + {times(f'{grouped} % {tiles}', axis.size * axis.step)}"


def times(text: str, factor: int) -> str:
    """A printed product; `text` has no sum at its top."""
    return text if factor == 1 or text == "0" else f"{text} * {factor}"
