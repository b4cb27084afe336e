"""The error rule of the Triton tests: a part that errs is not hidden by the rest."""

from __future__ import annotations

import pytest

import attndsl
from tests.runtime.triton_cases import Case, Found, assert_close

CASE = Case(attndsl.pattern("causal").bind(shape=128).ir, dtype="bfloat16")


def found(errors: list[float], sizes: list[float], name: str = "out") -> Found:
    """Results of which plain torch errs by 1e-3 everywhere."""
    return Found({name: errors}, {name: [1e-3] * len(errors)}, {name: sizes})


def test_twice_the_error_of_plain_torch_is_allowed() -> None:
    assert_close(CASE, found([2e-3, 2e-3, 1e-3], [1.0, 1.0, 0.01]))


def test_one_bad_tile_is_found() -> None:
    with pytest.raises(AssertionError, match=r"out, rows 64\.\.: error 0\.004"):
        assert_close(CASE, found([4e-3, 1e-3, 4e-3], [1.0, 1.0, 0.01]))


def test_a_result_that_is_wrong_everywhere_is_found() -> None:
    with pytest.raises(AssertionError, match="dq, all rows"):
        assert_close(CASE, found([0.5, 0.5, 0.5], [1.0, 1.0, 1.0], "dq"))
