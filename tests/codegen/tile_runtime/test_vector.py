"""One vector: powers of 2, transposes and reductions across lanes."""

from __future__ import annotations

import numpy as np

from tests.codegen.tile_runtime.arrays import Array, Call, random


def exp2(runtime: Call, x: Array) -> Array:
    y = np.empty_like(x)
    runtime("exp2_of", y, x, len(x))
    return y


def test_exp2_is_within_three_units_in_the_last_place(runtime: Call) -> None:
    x = np.concatenate([np.linspace(-126, 127, 80000), np.linspace(-1, 0, 80000)]).astype(np.float32)
    exact = np.exp2(x.astype(np.float64))
    error = np.abs(exp2(runtime, x) - exact) / np.spacing(exact.astype(np.float32))
    assert error.max() <= 3.1
    assert error.mean() <= 0.8


def log2(runtime: Call, x: Array) -> Array:
    y = np.empty_like(x)
    runtime("log2_of", y, x, len(x))
    return y


def test_log2_is_within_three_units_in_the_last_place(runtime: Call) -> None:
    tiny = np.float32(2.0**-149)
    x = np.concatenate([np.geomspace(tiny, 3.4e38, 80000), np.linspace(0.5, 2.0, 80000)]).astype(np.float32)
    exact = np.log2(x.astype(np.float64))
    error = np.abs(log2(runtime, x) - exact) / np.spacing(np.abs(exact).astype(np.float32))
    assert error.max() <= 3
    assert error.mean() <= 0.8


def test_log2_where_there_is_no_finite_logarithm(runtime: Call) -> None:
    x = np.array([0.0, np.inf, -1.0, -np.inf, np.nan, 1.0, 2.0, 0.5] * 2, dtype=np.float32)
    wanted = np.array([-np.inf, np.inf, np.nan, np.nan, np.nan, 0.0, 1.0, -1.0] * 2, dtype=np.float32)
    assert np.array_equal(log2(runtime, x), wanted, equal_nan=True)


def test_exp2_is_exact_at_whole_numbers(runtime: Call) -> None:
    x = np.arange(-126, 122, dtype=np.float32).repeat(2)
    assert np.array_equal(exp2(runtime, x), np.exp2(x))


def test_exp2_vanishes_far_below_zero_and_at_minus_infinity(runtime: Call) -> None:
    x = np.array([-150, -151.5, -1000, -1e10, -3e38, -(2.0**31), -(2.0**32), -np.inf] * 2, dtype=np.float32)
    assert np.array_equal(exp2(runtime, x), np.zeros_like(x))


def test_exp2_below_the_smallest_normal_number_is_right_or_zero(runtime: Call) -> None:
    x = np.linspace(-150, -126.01, 1600).astype(np.float32)
    y, exact = exp2(runtime, x), np.exp2(x.astype(np.float64))
    assert ((y == 0) | (np.abs(y - exact) <= 2.0**-148)).all()


def test_exp2_is_a_number_for_every_number_below_its_limit(runtime: Call) -> None:
    x = np.random.default_rng(0).integers(0, 2**32, 2**18, dtype=np.uint32).view(np.float32)
    x = np.where(x < 127.5, x, np.float32(0))  # NaN is not below the limit either
    y = exp2(runtime, x)
    assert np.isfinite(y).all()
    assert (y >= 0).all()


def test_transpose(runtime: Call) -> None:
    lanes = runtime("lanes")
    source, target = random(lanes, lanes), random(lanes, lanes)
    runtime("transposed", target, source)
    assert np.array_equal(target, source.T)


def test_row_reductions_keep_the_order_of_rows(runtime: Call) -> None:
    lanes = runtime("lanes")
    rows, maxima, sums = random(lanes, lanes), random(lanes), random(lanes)
    rows[1] = -np.inf
    runtime("row_maxima", maxima, rows)
    runtime("row_sums", sums, rows)
    assert np.array_equal(maxima, rows.max(1))
    assert sums[1] == -np.inf
    assert np.allclose(np.delete(sums, 1), np.delete(rows, 1, 0).sum(1), atol=1e-5)
