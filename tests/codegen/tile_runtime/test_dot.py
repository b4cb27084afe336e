"""Matrix products of tiles, alone and on tensors of every element type."""

from __future__ import annotations

import numpy as np
import pytest

from tests.codegen.tile_runtime.arrays import (
    ELEMENTS,
    LAYOUTS,
    Array,
    Call,
    assert_product,
    decode,
    encode,
    from_bfloat16,
    random,
    strides,
    to_bfloat16,
)

SIZES = [(1, 16, 5), (7, 8, 3), (16, 112, 33), (64, 64, 64), (48, 80, 256)]
ATTENTION = [(16, 16, 8, 8), (48, 32, 40, 72), (64, 80, 96, 48)]
TOKENS = np.random.default_rng(6).permutation(100).astype(np.int32)


@pytest.mark.parametrize(("m", "n", "k"), SIZES)
def test_dot(runtime: Call, m: int, n: int, k: int) -> None:
    left, right, target = random(m, k), random(k, n, seed=1), random(m, n, seed=2)
    runtime(f"dot_{m}_{n}_{k}", target, None, left, right)
    assert_product(target, left, right)


@pytest.mark.parametrize(("m", "n", "k"), SIZES)
def test_dot_accumulate_rescales_each_row_first(runtime: Call, m: int, n: int, k: int) -> None:
    left, right, target, alpha = random(m, k), random(k, n, seed=1), random(m, n, seed=2), random(m, seed=3)
    start = alpha[:, None].astype(np.float64) * target
    runtime(f"dot_{m}_{n}_{k}", target, alpha, left, right)
    assert_product(target, left, right, start)


@pytest.mark.parametrize(("m", "n", "k"), SIZES)
def test_dot_transposed_accumulate(runtime: Call, m: int, n: int, k: int) -> None:
    left, right, target = random(k, m), random(k, n, seed=1), random(m, n, seed=2)
    start = target.astype(np.float64)
    runtime(f"dot_transposed_{m}_{n}_{k}", target, left, right)
    assert_product(target, left.T, right, start)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize(("tq", "tk", "d", "dv"), ATTENTION)
def test_scores_from_tensors(
    runtime: Call, element: str, tq: int, tk: int, d: int, dv: int, layout: str
) -> None:
    q, k = (LAYOUTS[layout](encode(random(100, d, seed=seed), element)) for seed in (4, 5))
    for queries, keys in ((tq, tk), (tq - 1, tk - 5), (0, 1)):
        scores = random(tq, tk)
        runtime(f"scores_{element}_{tq}_{tk}_{d}_{dv}", scores, q, k, strides(q), TOKENS, queries, keys, None)
        left, right = decode(q, element)[TOKENS[:queries]], decode(k, element)[TOKENS[:keys]]
        assert_product(scores[:queries, :keys], left, right.T)
        assert not scores[queries:].any()
        assert not scores[:, keys:].any()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize(("tq", "tk", "d", "dv"), ATTENTION)
def test_weights_times_values_from_tensors(
    runtime: Call, element: str, tq: int, tk: int, d: int, dv: int, layout: str
) -> None:
    v = LAYOUTS[layout](encode(random(100, dv, seed=7), element))
    weights, alpha = np.abs(random(tq, tk, seed=9)), random(tq, seed=10)
    rounds = element == "bfloat16" and runtime("rounds_bfloat16")
    left = from_bfloat16(to_bfloat16(weights)) if rounds else weights
    for keys in (tk, tk - 5, 1):
        output = random(tq, dv, seed=11)
        start = alpha[:, None].astype(np.float64) * output
        name = f"output_{element}_{tq}_{tk}_{d}_{dv}"
        runtime(name, output, alpha, weights, v, strides(v), TOKENS, keys, None)
        assert_product(output, left[:, :keys], decode(v, element)[TOKENS[:keys]], start)


def spans(rows: int, columns: int) -> Array:
    """Some columns of each row, in groups of 16: none in the first 8 rows, then few and many in turn."""
    begin = 16 * (np.arange(rows, dtype=np.int32) % (columns // 16))
    end = np.where(np.arange(rows) % 3, columns, begin + 16)
    found = np.stack([begin, end], axis=1).astype(np.int32)
    found[:8] = columns, 0
    return np.ascontiguousarray(found)


def inside(visible: Array, columns: int) -> Array:
    """The pairs in the spans, as booleans."""
    column = np.arange(columns)
    mask: Array = (visible[:, :1] <= column) & (column < visible[:, 1:])
    return mask


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize(("tq", "tk", "d", "dv"), ATTENTION)
def test_scores_outside_the_visible_pairs_are_left_out(
    runtime: Call, element: str, tq: int, tk: int, d: int, dv: int
) -> None:
    q, k = (encode(random(100, d, seed=seed), element) for seed in (4, 5))
    scores, visible = np.full((tq, tk), np.nan, dtype=np.float32), spans(tq, tk)
    runtime(f"scores_{element}_{tq}_{tk}_{d}_{dv}", scores, q, k, strides(q), TOKENS, tq, tk, visible)
    mask = inside(visible, tk)
    whole = decode(q, element)[TOKENS[:tq]].astype(np.float64) @ decode(k, element)[TOKENS[:tk]].T
    assert np.allclose(scores[mask], whole[mask], atol=1e-3)
    assert np.isnan(scores[:8]).all() or (element == "bfloat16" and not runtime("leaves_out_bfloat16"))


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize(("tq", "tk", "d", "dv"), ATTENTION)
def test_weights_outside_the_visible_pairs_are_left_out(
    runtime: Call, element: str, tq: int, tk: int, d: int, dv: int
) -> None:
    v, visible = encode(random(100, dv, seed=7), element), spans(tq, tk)
    weights = np.where(inside(visible, tk), np.abs(random(tq, tk, seed=9)), 0).astype(np.float32)
    output, alpha = random(tq, dv, seed=11), random(tq, seed=10)
    start = alpha[:, None].astype(np.float64) * output
    name = f"output_{element}_{tq}_{tk}_{d}_{dv}"
    runtime(name, output, alpha, weights, v, strides(v), TOKENS, tk, visible)
    rounds = element == "bfloat16" and runtime("rounds_bfloat16")
    left = from_bfloat16(to_bfloat16(weights)) if rounds else weights
    assert_product(output, left, decode(v, element)[TOKENS[:tk]], start)


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize(("tq", "tk", "d", "dv"), ATTENTION)
def test_rows_that_are_both_factors(runtime: Call, element: str, tq: int, tk: int, d: int, dv: int) -> None:
    q, k = (encode(random(100, d, seed=seed), element) for seed in (4, 5))
    for queries, keys in ((tq, tk), (tq - 1, tk - 5)):
        scores = random(tq, tk)
        runtime(f"either_{element}_{tq}_{tk}_{d}_{dv}", scores, q, k, strides(q), TOKENS, queries, keys)
        assert_product(scores[:queries], *_factors(q, k, element, queries, keys, tk))


def _factors(q: Array, k: Array, element: str, queries: int, keys: int, tk: int) -> tuple[Array, Array]:
    right = np.zeros((tk, k.shape[1]), dtype=np.float32)
    right[:keys] = decode(k, element)[TOKENS[:keys]]
    return decode(q, element)[TOKENS[:queries]], right.T


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize(("tq", "tk", "d", "dv"), ATTENTION)
def test_sums_of_products_with_tensors(
    runtime: Call, element: str, tq: int, tk: int, d: int, dv: int, transposed: int, layout: str
) -> None:
    q = LAYOUTS[layout](encode(random(100, d, seed=7), element))
    weights = random(tq, tk, seed=9) if transposed else random(tk, tq, seed=9)
    rounds = element == "bfloat16" and runtime("rounds_bfloat16")
    rounded = from_bfloat16(to_bfloat16(weights)) if rounds else weights
    left = rounded.T if transposed else rounded
    for queries in (tq, tq - 5, 1):
        total = random(tk, d, seed=11)
        start = total.astype(np.float64)
        name = f"sum_{element}_{tq}_{tk}_{d}_{dv}"
        runtime(name, total, weights, q, strides(q), TOKENS, queries, transposed)
        assert_product(2 * total, left[:, :queries], decode(q, element)[TOKENS[:queries]], start)


def test_many_tiles_lose_no_more_to_rounding_than_one(runtime: Call) -> None:
    left, right, ones = np.abs(random(64, 64)), np.abs(random(64, 64, seed=1)), np.ones(64, dtype=np.float32)
    target, one = np.zeros((64, 64), dtype=np.float32), np.empty((64, 64), dtype=np.float32)
    runtime("dot_64_64_64", one, None, left, right)
    for _ in range(64):
        runtime("dot_64_64_64", target, ones, left, right)
    exact = left.astype(np.float64) @ right.astype(np.float64)
    assert np.abs(target / (64 * exact) - 1).max() < 4 * np.abs(one / exact - 1).max()
