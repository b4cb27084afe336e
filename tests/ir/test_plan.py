"""Plans written out as masks, counted, joined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attndsl.diagnostics import AttnCallError
from attndsl.ir.plan import Plan

Lists = list[list[int]]


def plan_of(lists: Lists, queries: int = 5, keys: int = 7, q_block: int = 2, kv_block: int = 3) -> Plan:
    """A plan of one head from its lists."""
    most = max(map(len, lists))
    indices = np.array([[*each, *[-1] * (most - len(each))] for each in lists], dtype=np.int32)
    counts = np.array([len(each) for each in lists], dtype=np.int32)
    return Plan(queries, keys, q_block, kv_block, indices[None, None], counts[None, None])


def test_a_plan_of_runs_as_a_mask() -> None:
    mask = plan_of([[0, 2], [], [1]]).to_mask()
    assert mask.shape == (1, 1, 5, 7)
    assert ["".join(".#"[int(cell)] for cell in row) for row in mask[0, 0]] == [
        "###...#",
        "###...#",
        ".......",
        ".......",
        "...###.",
    ]


def test_rows_of_the_mask() -> None:
    plan = plan_of([[0, 2], [], [1]])
    assert np.array_equal(plan.rows_mask(1, 5), plan.to_mask()[:, :, 1:5])


def test_units_that_are_tables_of_tokens() -> None:
    table = np.array([[0, 2, 4], [1, 3, -1]], dtype=np.int32)
    plan = Plan(
        2, 5, 1, 3, np.array([[[[0], [1]]]], np.int32), np.array([[[1, 1]]], np.int32), kv_units=table
    )
    assert plan.to_mask()[0, 0].astype(int).tolist() == [[1, 0, 1, 0, 1], [0, 1, 0, 1, 0]]


def test_kept_counts_pairs_of_tokens() -> None:
    plan = plan_of([[0, 2], [], [1]])
    assert plan.kept == plan.to_mask().mean()


def test_plans_are_joined_unit_by_unit() -> None:
    first, second = plan_of([[0, 2], [], [1]]), plan_of([[0, 1], [2], [0]])
    assert np.array_equal((first | second).to_mask(), first.to_mask() | second.to_mask())
    assert np.array_equal((first & second).to_mask(), first.to_mask() & second.to_mask())
    assert (first & second).counts.tolist() == [[[1, 0, 0]]]


def test_a_plan_for_all_heads_joins_one_per_head() -> None:
    shared, own = plan_of([[0], [1], [2]]), plan_of([[1], [1], [1]])
    two = Plan(5, 7, 2, 3, np.repeat(own.indices, 2, 1), np.repeat(own.counts, 2, 1))
    assert np.array_equal((shared | two).to_mask(), shared.to_mask() | two.to_mask())


def test_plans_over_other_units_or_heads_cannot_be_joined() -> None:
    plan = plan_of([[0], [1], [2]])
    two, three = (
        replace(plan, indices=plan.indices.repeat(heads, 1), counts=plan.counts.repeat(heads, 1))
        for heads in (2, 3)
    )
    with pytest.raises(AttnCallError, match=r"A0699.*different units"):
        plan | plan_of([[0], [1], [1]], kv_block=4)
    with pytest.raises(AttnCallError, match=r"A0699.*2 heads and of 1 and 3 cannot"):
        two & three
