"""Block maps: runs are merged, sorted and transposed without changing what is visited."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from attndsl.schedule.block_map import BlockMap, block_map

tables = st.integers(0, 6).flatmap(
    lambda rows: st.lists(st.lists(st.integers(-1, 2), min_size=5, max_size=5), min_size=rows, max_size=rows)
)


def from_table(table: NDArray[np.int64]) -> BlockMap:
    """The map of a table of residuals in which -1 is EMPTY, from one run per tile in reverse order."""
    row, column = np.nonzero(table >= 0)
    row, column = row[::-1], column[::-1]
    return block_map(row, column, column + 1, table[row, column], *table.shape)


def to_table(original: BlockMap) -> NDArray[np.int64]:
    table = np.full((original.rows, original.columns), -1)
    row, column, residual = original.entries()
    table[row, column] = residual
    return table


def test_neighbouring_runs_of_one_residual_are_merged() -> None:
    found = from_table(np.array([[0, 0, 1, 1, 0], [-1, -1, -1, -1, -1], [-1, 2, -1, 2, 2]]))
    assert found.row_start.tolist() == [0, 3, 3, 5]
    assert found.begin.tolist() == [0, 2, 4, 1, 3]
    assert found.end.tolist() == [2, 4, 5, 2, 5]
    assert found.residual.tolist() == [0, 1, 0, 2, 2]
    kinds = [array.dtype.name for array in (found.row_start, found.begin, found.end, found.residual)]
    assert kinds == ["int64", "int32", "int32", "int16"]


def test_figures_count_tiles_and_not_runs() -> None:
    found = from_table(np.array([[0, 0, 1, 1, 0], [-1, -1, -1, -1, -1], [-1, 2, -1, 2, 2]]))
    assert found.visited.tolist() == [5, 0, 3]
    assert (found.visited_tiles, found.full_tiles) == (8, 3)


@pytest.mark.parametrize(
    ("row", "contiguous"), [([-1, 0, 1, 0, -1], True), ([0, -1, 0, -1, -1], False), ([-1] * 5, True)]
)
def test_contiguous_means_one_range_per_q_tile(row: list[int], contiguous: bool) -> None:
    assert from_table(np.array([row])).is_contiguous is contiguous


def test_the_heaviest_q_tile_comes_first() -> None:
    found = from_table(np.array([[0, -1], [0, 0], [-1, -1], [-1, 1]]))
    assert found.order(np.array([4, 4, 4, 4]), np.array([8, 3])).tolist() == [1, 0, 3, 2]


@settings(deadline=None)
@given(tables)
def test_a_map_keeps_its_table(rows: list[list[int]]) -> None:
    table = np.array(rows, dtype=np.int64).reshape(-1, 5)
    np.testing.assert_array_equal(to_table(from_table(table)), table)


@settings(deadline=None)
@given(tables)
def test_transposing_a_map_transposes_its_table(rows: list[list[int]]) -> None:
    table = np.array(rows, dtype=np.int64).reshape(-1, 5)
    np.testing.assert_array_equal(to_table(from_table(table).transpose()), table.T)


@settings(deadline=None)
@given(tables)
def test_residuals_are_found_by_tile(rows: list[list[int]]) -> None:
    table = np.array(rows, dtype=np.int64).reshape(-1, 5)
    row, column = (index.ravel() for index in np.indices(table.shape))
    np.testing.assert_array_equal(from_table(table).residual_of(row, column), table.ravel())


def test_long_maps_are_transposed_without_listing_their_tiles() -> None:
    rows = np.arange(2**15)
    causal = block_map(rows, np.zeros_like(rows), rows + 1, np.zeros_like(rows), len(rows), len(rows))
    transposed = causal.transpose()
    np.testing.assert_array_equal(transposed.begin, rows)
    np.testing.assert_array_equal(transposed.end, np.full_like(rows, len(rows)))
