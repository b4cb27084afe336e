"""The check of sampled rows: equal to attention written out, and able to fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import attndsl
from attndsl.cli.sample import largest_error
from attndsl.pipeline import Bound

Array = NDArray[Any]


def attention(bound: Bound, q: Array, k: Array, v: Array) -> Array:
    """All rows, [heads, Nq, D]."""
    out = np.zeros((*q.shape[:2], v.shape[-1]))
    masks = bound.mask()
    for head in range(len(q)):
        kv_head = head // (len(q) // len(k))
        scores = np.exp(q[head] @ k[kv_head].T / np.sqrt(q.shape[-1])) * masks[min(head, len(masks) - 1)]
        out[head] = scores @ v[kv_head] / np.maximum(scores.sum(axis=1, keepdims=True), 1e-300)
    return out


@pytest.fixture
def case() -> tuple[Bound, Array, Array, Array]:
    bound = attndsl.pattern("cswin").bind(shape=(4, 6), heads=4, kv_heads=2, stripe=2)
    chance = np.random.default_rng(1)
    return bound, *(chance.standard_normal((heads, 24, 8)) for heads in (4, 2, 2))  # type: ignore[return-value]


def test_exact_outputs_have_no_error(case: tuple[Bound, Array, Array, Array]) -> None:
    bound, *tensors = case
    out = attention(bound, *tensors)
    assert largest_error(bound.ir, tensors, out, rows=24, inputs={}) < 1e-12


def test_the_largest_difference_is_found(case: tuple[Bound, Array, Array, Array]) -> None:
    bound, *tensors = case
    wrong = attention(bound, *tensors)
    wrong[:, 13, 5] += 0.25
    assert largest_error(bound.ir, tensors, wrong, rows=24, inputs={}) == pytest.approx(0.25)


def test_a_query_that_sees_nothing_gives_zeros() -> None:
    nothing = attndsl.parse("pattern nothing:\n    space tokens(n)\n    attend k.n < 0\n")
    assert isinstance(nothing, attndsl.Pattern)
    bound = nothing.bind(shape=5)
    zeros = np.zeros((1, 5, 4))
    assert largest_error(bound.ir, [zeros] * 3, zeros, rows=5, inputs={}) == 0.0
