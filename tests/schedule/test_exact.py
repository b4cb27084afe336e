"""Exact values of sub-expressions and their summaries per box."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attndsl.ir.expr import Apply, Const, Expr, Position
from attndsl.ir.intervals import Strided, Truth, exactly
from attndsl.schedule.exact import evaluate_exactly, sample, summarise


def test_boxes_know_bounds_and_stride_of_their_values() -> None:
    value = summarise(exactly(np.array([3, 7, 11, 5, 5, 1, 9])), [np.array([0, 3, 5])])
    assert isinstance(value, Strided)
    assert value.stride is not None
    assert value.lo.tolist() == [3, 5, 1]
    assert value.hi.tolist() == [11, 5, 9]
    assert value.stride.tolist() == [4, 0, 8]


def test_boxes_of_truth_values_know_what_occurs() -> None:
    value = summarise(exactly(np.array([True, True, False, True, False])), [np.array([0, 2, 4])])
    assert isinstance(value, Truth)
    assert value.may_hold.tolist() == [True, True, False]
    assert value.may_fail.tolist() == [False, True, True]


def test_numbers_that_are_not_numbers_bound_nothing() -> None:
    value = summarise(exactly(np.array([1.0, np.nan, 2.0, 3.0])), [np.array([0, 2])])
    assert isinstance(value, Strided)
    assert value.lo.tolist() == [-np.inf, 2.0]
    assert value.hi.tolist() == [np.inf, 3.0]


@settings(deadline=None)
@given(st.lists(st.integers(-30, 30), min_size=12, max_size=12), st.integers(1, 11), st.integers(1, 2))
def test_summaries_of_two_dimensions_contain_every_member(numbers: list[int], column: int, row: int) -> None:
    table = np.array(numbers * 3).reshape(3, 12)
    value = summarise(exactly(table), [np.array([0, row]), np.array([0, column])])
    assert isinstance(value, Strided)
    assert value.stride is not None
    for i, rows in enumerate((slice(0, row), slice(row, None))):
        for j, columns in enumerate((slice(0, column), slice(column, None))):
            box = table[rows, columns].ravel()
            assert (value.lo[i, j], value.hi[i, j]) == (box.min(), box.max())
            assert value.stride[i, j] == np.gcd.reduce(box - box[0])


def test_long_axes_are_evaluated_in_pieces() -> None:
    x = Position("q", 0)
    expr: Expr = Apply("mod", (Apply("mul", (x, Const(3))), Const(7)))
    coordinates = np.arange(2**20)
    values = evaluate_exactly(expr, {x: coordinates[:, None]})
    np.testing.assert_array_equal(values[:, 0], coordinates * 3 % 7)


def test_a_sample_takes_one_coordinate_per_box() -> None:
    value = sample(np.arange(12).reshape(3, 4), [np.array([0, 2]), np.array([1, 3])])
    assert isinstance(value, Strided)
    assert value.lo.tolist() == [[1, 3], [9, 11]]
