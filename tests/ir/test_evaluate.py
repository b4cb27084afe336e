"""Rows of a mask by direct evaluation, also of queries in any order."""

from __future__ import annotations

import numpy as np
import pytest

import attndsl
from attndsl.ir.evaluate import mask_of_queries, mask_rows


@pytest.mark.parametrize(
    "queries", [[], [0], [71, 3, 40, 64, 3], list(range(72))], ids=lambda queries: f"{len(queries)} queries"
)
def test_rows_of_chosen_queries_are_rows_of_the_mask(queries: list[int]) -> None:
    bound = attndsl.pattern("radial").bind(shape=(4, 16), text=8, block=4)
    chosen = mask_of_queries(bound.ir, 0, np.array(queries, dtype=np.int64), {})
    assert (chosen == bound.mask()[0][queries]).all()


def test_a_range_of_rows() -> None:
    bound = attndsl.pattern("sliding_window").bind(shape=32, left=4)
    assert (mask_rows(bound.ir, 0, 5, 9, {}) == bound.mask()[0, 5:9]).all()
