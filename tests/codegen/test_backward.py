"""The backward programs, interpreted in float64, equal autograd of the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl.codegen.backward import delta, dk_dv, dq
from attndsl.codegen.interpret import interpret
from attndsl.codegen.listing import print_program
from attndsl.schedule.build import build
from attndsl.schedule.schedule import Schedule
from tests.codegen.gradients import check, interpreted, problem


def scheduled(text: str, q_tile: Any, kv_tile: Any, **numbers: Any) -> Schedule:
    """The schedule of `attend <text>` over one axis."""
    pattern = attndsl.parse(f"pattern p():\n    space tokens(n)\n    attend {text}\n").bind(**numbers)
    return build(pattern.ir, q_tile, kv_tile)


@pytest.mark.parametrize("tokens", [1, 2, 7, 16, 23])
@pytest.mark.parametrize("tiles", [(1, 1), (4, 8), (5, 3), (32, 32)])
def test_any_length_and_any_tile(tokens: int, tiles: tuple[int, int]) -> None:
    schedule = scheduled("abs(q.n - k.n) <= 5 and k.n <= q.n + 2", *tiles, shape=tokens)
    check(schedule, problem(schedule.ir))


@pytest.mark.parametrize(("heads", "kv_heads"), [(1, 1), (4, 2), (6, 2), (3, 1)])
def test_heads_of_a_group_are_summed(heads: int, kv_heads: int) -> None:
    bound = attndsl.pattern("gna").bind(shape=(5, 6), heads=heads, kv_heads=kv_heads, window=(3, 3))
    check(build(bound.ir, (2, 3), (4, 2)), problem(bound.ir, batch=2))


def test_heads_of_a_group_may_have_different_masks() -> None:
    bound = attndsl.parse(
        "pattern p(width: int[heads]):\n    space tokens(n)\n    attend abs(q.n - k.n) < width[head] + head\n"
    ).bind(shape=20, heads=4, kv_heads=2, width=[1, 9, 0, 14])
    check(build(bound.ir, 4, 4), problem(bound.ir))


@pytest.mark.parametrize("value_dim", [1, 4, 9])
def test_values_may_have_another_dimension(value_dim: int) -> None:
    schedule = scheduled("k.n <= q.n", 4, 4, shape=11)
    check(schedule, problem(schedule.ir, value_dim=value_dim))


def test_queries_that_see_nothing_have_no_gradient() -> None:
    schedule = scheduled("k.n < q.n - 4 and k.n % 3 != 0", 4, 4, shape=14)
    given = problem(schedule.ir)
    check(schedule, given)
    found = interpreted(schedule, given)
    assert not found["q"][:, :, :6].any()
    assert not found["k"][:, :, ::3].any()


def test_a_gradient_of_the_empty_log_sum_exp_means_nothing() -> None:
    schedule = scheduled("k.n < q.n - 4", 4, 4, shape=14)
    given = problem(schedule.ir)
    given["lse_gradient"][:, :, :5] = np.nan
    assert all(np.isfinite(gradient).all() for gradient in interpreted(schedule, given).values())


def test_a_mask_may_be_empty_altogether() -> None:
    schedule = scheduled("k.n < -q.n", 4, 4, shape=9)
    assert not any(gradient.any() for gradient in interpreted(schedule, problem(schedule.ir)).values())


def test_huge_scores() -> None:
    schedule = scheduled("abs(q.n - k.n) <= 6", 4, 8, shape=30)
    check(schedule, problem(schedule.ir, factor=100.0), rtol=1e-6, atol=1e-6)


def test_masks_may_depend_on_inputs_and_differ_between_batch_elements() -> None:
    ir = attndsl.pattern("document").bind(shape=18, heads=2, causal=True).ir
    doc = np.array([[0] * 5 + [1] * 7 + [2] * 6, [3] * 17 + [4]])
    check(build(ir, 4, 4), problem(ir, batch=2, inputs={"doc": doc}))


def test_queries_and_keys_may_live_in_different_spaces_with_segments() -> None:
    ir = attndsl.parse(
        "pattern p():\n    query space q(a)\n    key space k(b, c) ++ text(n)\n    attend\n"
        "        q -> k: q.a % 3 == k.c or k.b == 0\n        else: true\n"
    ).bind(shape=10, key_shape=(3, 5), text=3, heads=2).ir  # fmt: skip
    check(build(ir, 4, (2, 2)), problem(ir))


def test_delta_is_what_both_gradients_have_in_common() -> None:
    schedule = scheduled("k.n <= q.n", 4, 4, shape=6)
    given = problem(schedule.ir)
    out, lse = np.ones((1, 1, 6, 3)), np.array([[[0.0, -np.inf, 1.0, 2.0, -np.inf, 3.0]]])
    found = interpret(delta(), schedule, {**given.tensors, "out": out, "lse": lse}, {})["delta"]
    wanted = given["out_gradient"].sum(-1) - given["lse_gradient"]
    np.testing.assert_allclose(found, np.where(lse == -np.inf, 0.0, wanted))


def test_listings_read_as_the_formulas() -> None:
    assert "score_gradients = weights * (weight_gradients - deltas)" in print_program(dq())
    assert "dv = dv + (weights^T @ (load out_gradient))" in print_program(dk_dv())
    assert "for each query head of the kv head:" in print_program(dk_dv())
