"""Pools over tokens with something in common, and integers with the largest sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import attndsl
from attndsl.ir.plan import Plan
from attndsl.runtime.route_groups import pooled_alike, pooled_parts, pooled_where, top_numbers


def test_rows_may_be_summed_in_parts() -> None:
    torch.manual_seed(0)
    values = torch.rand(2, 3, 12, 9, dtype=torch.float64)
    numbers = (torch.arange(12)[:, None] - torch.arange(9)).view(1, 1, 12, 9)
    whole = top_numbers([(values, numbers)], 4)
    rows = [slice(0, 5), slice(5, 10), slice(10, 12)]
    parts = top_numbers([(values[:, :, each], numbers[:, :, each]) for each in rows], 4)
    assert (whole.holds(numbers) == parts.holds(numbers)).all()
    assert (whole.chosen.sum(2) == 4).all()


def test_the_chosen_integers_have_the_largest_sums() -> None:
    values = torch.tensor([[1.0, 2.0, 4.0], [1.0, 1.0, 1.0]]).view(1, 1, 2, 3)
    numbers = torch.tensor([[5, 7, 5], [7, 7, 7]]).view(1, 1, 2, 3)  # 5: 5, and 7: 5 as well
    found = top_numbers([(values + 0.1 * (numbers == 7), numbers)], 1)
    everywhere = torch.tensor([4, 5, 6, 7, 8]).view(1, 1, 1, 5)
    assert found.holds(everywhere).flatten().tolist() == [False, False, False, True, False]
    all_of_them = top_numbers([(values, numbers)], 99).holds(everywhere)
    assert all_of_them.flatten().tolist() == [False, True, False, True, False]


@pytest.mark.parametrize(("kind", "wanted"), [("mean", 2.0), ("sum", 4.0), ("max", 3.0), ("min", 1.0)])
def test_a_pool_where_a_condition_holds(kind: str, wanted: float) -> None:
    values = torch.tensor([1.0, 9.0, 3.0]).view(1, 1, 3, 1)
    holds = torch.tensor([True, False, True]).view(1, 1, 3, 1)
    assert pooled_where(values, holds, kind).item() == wanted


@pytest.mark.parametrize("kind", ["mean", "sum", "max", "min"])
def test_a_pool_in_parts_is_that_of_the_whole(kind: str) -> None:
    """One of the parts holds nothing."""
    torch.manual_seed(0)
    values = torch.rand(2, 3, 12, 9, dtype=torch.float64)
    holds = (torch.arange(12) % 5 > 2).view(1, 1, 12, 1)
    rows = [slice(0, 3), slice(3, 10), slice(10, 12)]
    parts = pooled_parts(((values[:, :, each], holds[:, :, each]) for each in rows), kind)
    torch.testing.assert_close(parts, pooled_where(values, holds, kind))


@pytest.mark.parametrize(
    ("kind", "wanted"), [("mean", 0), ("sum", 0), ("max", -torch.inf), ("min", torch.inf)]
)
def test_a_pool_of_nothing(kind: str, wanted: float) -> None:
    nothing = torch.zeros(1, 1, 3, 1, dtype=torch.bool)
    assert pooled_where(torch.ones(1, 1, 3, 1), nothing, kind).item() == wanted


@pytest.mark.parametrize(
    ("kind", "wanted"), [("mean", [2, 9, 2]), ("sum", [4, 9, 4]), ("max", [3, 9, 3]), ("min", [1, 9, 1])]
)
def test_a_pool_of_those_with_the_same_number(kind: str, wanted: list[float]) -> None:
    values = torch.tensor([1.0, 9.0, 3.0]).view(1, 1, 3, 1)
    numbers = torch.tensor([10**12, -4, 10**12]).view(1, 1, 3, 1)
    assert pooled_alike(values, numbers, kind).flatten().tolist() == wanted


# ---------------------------------------------------------------- in patterns

N, HEADS, GROUP = 10, 4, 2
Q = torch.randn(2, HEADS, N, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
K = torch.randn(2, HEADS // GROUP, N, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
SCORES = np.einsum("bhid,bhjd->bhij", Q.numpy(), K.repeat_interleave(GROUP, 1).numpy())


def plan_of(score: str, select: str = "top(3) per query", declared: str = "int[key]", **inputs: Any) -> Plan:
    text = f"""
pattern p:
    space tokens(n)
    input x: {declared}
    route score {score}
          select {select}
    attend true
"""
    bound = attndsl.parse(text).bind(shape=N, heads=HEADS, kv_heads=HEADS // GROUP)
    plan: Plan = bound.plan(Q, K, **{"x": torch.zeros(N, dtype=torch.int64), **inputs})
    return plan


def largest(scores: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """Bool like scores: the largest of each row."""
    kept = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(kept, np.argsort(-scores, -1)[..., :count], True, -1)
    return kept


def test_a_condition_may_differ_between_heads_that_share_keys() -> None:
    found = plan_of("q . k - q . sum(k in k.n < head) * k.n").of_heads(HEADS)
    first = np.stack([SCORES[:, h, :, :h].sum(-1) for h in range(HEADS)], 1)
    assert (found == largest(SCORES - first[..., None] * np.arange(N), 3)).all()


def test_a_pool_over_queries_or_keys_for_which_nothing_holds() -> None:
    assert (plan_of("q . k + sum(q . k in q.n < 0)").of_heads(HEADS) == largest(SCORES, 3)).all()
    assert plan_of("q . k + max(q . k in q.n < 0)").counts.sum() == 0
    assert (plan_of("q . k + sum(k.n in k.n < 0)").of_heads(HEADS) == largest(SCORES, 3)).all()
    nowhere = "1.0 if top(q . k if q.n < 0 else 0.0 in k.n, 2) else 0.0"
    assert plan_of(nowhere, "threshold(0.5) per query").counts.sum() == 0


def test_groups_that_differ_between_heads_and_elements_of_a_batch() -> None:
    x = torch.randint(0, 3, (2, HEADS, N), generator=torch.Generator().manual_seed(2))
    found = plan_of("q . k - 0.1 * sum(k.n in x[head, k])", declared="int[heads, key]", x=x).of_heads(HEADS)
    same = x.numpy()[..., :, None] == x.numpy()[..., None, :]
    sums = (same * np.arange(N)).sum(-1)
    assert (found == largest(SCORES - 0.1 * sums[:, :, None], 3)).all()


def test_columns_over_all_queries() -> None:
    found = plan_of("1.0 if top(q . k in k.n, 4) else 0.0", "threshold(0.5) per query").of_heads(HEADS)
    assert (found == largest(SCORES.sum(2, keepdims=True), 4)).all()
