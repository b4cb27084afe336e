"""Pyramids: every level cuts the level above, and the tiles are level 0."""

from __future__ import annotations

from itertools import pairwise

import pytest

from attndsl.schedule.pyramid import Pyramid
from attndsl.schedule.tiling import AxisTiling

TILINGS = [AxisTiling(100, 7), AxisTiling(64, 8), AxisTiling(1, 4), AxisTiling(50, 4, 3), AxisTiling(9, 1)]


@pytest.mark.parametrize("tiling", TILINGS)
def test_levels_are_nested_from_one_box_to_single_coordinates(tiling: AxisTiling) -> None:
    pyramid = Pyramid(tiling)
    levels = range(pyramid.coarsest, pyramid.finest + 1)
    starts = [set(pyramid.starts(level).tolist()) for level in levels]
    assert starts[0] == {0}
    assert starts[-1] == set(range(tiling.extent))
    assert all(coarse <= fine for coarse, fine in pairwise(starts))
    assert pyramid.starts(0).tolist() == tiling.start.tolist()


@pytest.mark.parametrize("tiling", TILINGS)
def test_children_are_the_boxes_inside(tiling: AxisTiling) -> None:
    pyramid = Pyramid(tiling)
    for level in range(pyramid.coarsest, pyramid.finest):
        first, count = pyramid.children(level)
        finer = pyramid.starts(level + 1)
        assert finer[first].tolist() == pyramid.starts(level).tolist()
        assert count.sum() == len(finer)


def test_residue_classes_are_joined_last() -> None:
    pyramid = Pyramid(AxisTiling(12, 2, step=2))
    assert pyramid.starts(0).tolist() == [0, 2, 4, 6, 8, 10]
    assert pyramid.starts(-1).tolist() == [0, 4, 6, 10]
    assert pyramid.starts(-2).tolist() == [0, 6]
    assert pyramid.starts(-3).tolist() == [0]
