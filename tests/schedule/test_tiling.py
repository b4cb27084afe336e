"""Tilings: which tokens a tile has, and in which order."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from attndsl.ir.bound import Segment, Space
from attndsl.schedule.tiling import AxisTiling, SegmentTiling, Tiling
from tests.schedule.brute_force import tile_of_token


def members(tiling: AxisTiling) -> list[list[int]]:
    return [
        [first + tiling.step * j for j in range(count)]
        for first, count in zip(tiling.first.tolist(), tiling.count.tolist(), strict=True)
    ]


def test_neighbours_share_a_tile() -> None:
    assert members(AxisTiling(10, 4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_step_cuts_residue_class_by_residue_class() -> None:
    assert members(AxisTiling(11, 2, step=3)) == [[0, 3], [6, 9], [1, 4], [7, 10], [2, 5], [8]]


@pytest.mark.parametrize(("extent", "size", "step"), [(1, 5, 1), (1, 1, 4), (7, 9, 2), (3, 2, 5), (13, 1, 1)])
def test_every_coordinate_has_one_tile(extent: int, size: int, step: int) -> None:
    tiles = members(AxisTiling(extent, size, step))
    assert sorted(chain(*tiles)) == list(range(extent))
    assert all(0 < len(tile) <= size for tile in tiles)


def test_an_axis_without_coordinates_has_no_tiles() -> None:
    assert members(AxisTiling(0, 4)) == []


def video_and_text(text: int) -> Tiling:
    video, words = Segment("video", ("h", "w"), (3, 5), 0), Segment("text", ("n",), (text,), 15)
    return Tiling(
        Space((video, words)),
        (
            SegmentTiling(video, (AxisTiling(3, 2), AxisTiling(5, 3))),
            SegmentTiling(words, (AxisTiling(text, 4),)),
        ),
    )


def test_the_gather_table_lists_each_tile_row_major() -> None:
    tokens, counts = video_and_text(text=5).tokens()
    assert tokens.dtype == counts.dtype == np.int32
    assert counts.tolist() == [6, 4, 3, 2, 4, 1]
    assert tokens.tolist() == [
        [0, 1, 2, 5, 6, 7],
        [3, 4, 8, 9, -1, -1],
        [10, 11, 12, -1, -1, -1],
        [13, 14, -1, -1, -1, -1],
        [15, 16, 17, 18, -1, -1],
        [19, -1, -1, -1, -1, -1],
    ]


def test_a_segment_without_tokens_has_no_tiles() -> None:
    tiling = video_and_text(text=0)
    assert tiling.tiles == 4
    assert tiling.first_tile == (0, 4, 4)
    assert len(tiling.tokens()[0]) == 4


def test_steps_on_several_axes_still_cover_every_token_once() -> None:
    segment = Segment("tokens", ("h", "w"), (7, 10), 0)
    tiling = Tiling(Space((segment,)), (SegmentTiling(segment, (AxisTiling(7, 2, 3), AxisTiling(10, 3, 4))),))
    tile = tile_of_token(tiling).reshape(7, 10)
    assert tile[0, 0] == tile[3, 4] == tile[0, 8]
    assert tile[0, 0] != tile[0, 1]
