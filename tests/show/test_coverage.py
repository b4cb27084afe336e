"""Block maps as small images: the shares of each pixel are those of the tile pairs below it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from attndsl.schedule.block_map import BlockMap, block_map
from attndsl.show.coverage import coverage, merged


def random_classes(rows: int, columns: int, seed: int) -> NDArray[np.int64]:
    """-1 for skipped tile pairs, 0 for full ones, more for partial ones."""
    chance = np.random.default_rng(seed)
    repeated: NDArray[np.int64] = np.repeat(chance.integers(-1, 3, (rows, -(-columns // 3))), 3, axis=1)
    return repeated[:, :columns]


def as_block_map(classes: NDArray[np.int64]) -> BlockMap:
    row, column = np.nonzero(classes >= 0)
    return block_map(row, column, column + 1, classes[row, column], *classes.shape)


@pytest.mark.parametrize(
    ("rows", "columns", "most"), [(1, 1, 4), (4, 6, 10), (7, 12, 4), (13, 5, 5), (29, 31, 6)]
)
def test_a_pixel_is_the_mean_of_its_tile_pairs(rows: int, columns: int, most: int) -> None:
    classes = random_classes(rows, columns, seed=rows)
    found = coverage(as_block_map(classes), most)
    height, width = merged(as_block_map(classes), most)
    for i, j in np.ndindex(found.shape[:2]):
        below = classes[i * height : (i + 1) * height, j * width : (j + 1) * width]
        assert found[i, j] == pytest.approx([(below == 0).mean(), (below > 0).mean()])


def test_there_are_at_most_so_many_pixels() -> None:
    classes = random_classes(103, 57, seed=0)
    assert all(pixels <= 10 for pixels in coverage(as_block_map(classes), 10).shape[:2])


def test_a_map_that_visits_nothing_is_blank() -> None:
    assert not coverage(as_block_map(np.full((5, 9), -1)), 4).any()
