"""The largest of each row, for every kind of vector."""

from __future__ import annotations

import numpy as np
import pytest

from tests.codegen.tile_runtime.arrays import Array, Call, random


def lists(runtime: Call, scores: Array, classes: Array | None, count: int) -> list[list[int]]:
    rows, columns = scores.shape
    indices, counts = np.empty((rows, count), np.int32), np.empty(rows, np.int32)
    runtime("top_of", indices, counts, scores, classes, rows, columns, count)
    for found, length in zip(indices, counts, strict=True):
        assert (found[length:] == -1).all()
    return [found[:length].tolist() for found, length in zip(indices, counts, strict=True)]


def first_of_sorted(scores: Array, classes: Array | None, count: int) -> list[list[int]]:
    """The largest of each row by sorting it; of equal ones the first."""
    moved = scores.astype(np.float64)
    if classes is not None:
        moved[(classes == 2) & (moved > -np.inf)] = np.inf
        moved[classes == 1] = -np.inf
    moved[np.isnan(moved)] = -np.inf
    order = np.argsort(-moved, axis=1, kind="stable")[:, :count]
    return [
        sorted(place for place in places if row[place] > -np.inf)
        for places, row in zip(order, moved, strict=True)
    ]


@pytest.mark.parametrize("columns", [1, 3, 16, 29, 64, 200])
@pytest.mark.parametrize("count", [0, 1, 3, 20, 250])
def test_lists_hold_the_largest_and_of_equals_the_first(runtime: Call, columns: int, count: int) -> None:
    few = np.random.default_rng(1).integers(-2, 3, (60, columns)).astype(np.float32)
    classes = np.random.default_rng(2).choice([0, 0, 0, 1, 2], (60, columns)).astype(np.uint8)
    for scores in (random(60, columns), few, np.float32(1e-42) * few):
        for given in (None, classes):
            assert lists(runtime, scores, given, count) == first_of_sorted(scores, given, count)


def test_what_has_no_order_is_not_listed(runtime: Call) -> None:
    scores = np.array([[np.nan, -np.inf, 1.0, -np.nan, np.inf, -0.0, 0.0, -1e38]], np.float32)
    for count in range(9):
        assert lists(runtime, scores, None, count) == first_of_sorted(scores, None, count)
