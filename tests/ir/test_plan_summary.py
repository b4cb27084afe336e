"""Summaries of plans: figures by head, as text, data, and a table of rich."""

from __future__ import annotations

import io

import numpy as np
from rich.console import Console

from attndsl.ir.plan import Plan

LISTS = np.array([[[[0, 2], [-1, -1], [1, -1]], [[2, -1], [2, -1], [2, -1]]]], dtype=np.int32)
PLAN = Plan(5, 7, 2, 3, LISTS, (LISTS >= 0).sum(-1, dtype=np.int32))


def test_figures_of_heads() -> None:
    first, second = PLAN.summary().heads
    assert (first.least, first.mean, first.most, first.empty, first.unused) == (0, 1.0, 2, 1, 0)
    assert (second.least, second.mean, second.most, second.empty, second.unused) == (1, 1.0, 1, 0, 2)
    assert first.busiest == 1 / 3
    assert second.busiest == 1.0
    mask = PLAN.to_mask()
    assert [first.kept, second.kept] == mask.mean((0, 2, 3)).tolist()
    assert PLAN.summary().kept == mask.mean()


def test_the_representation_is_one_line() -> None:
    assert (
        repr(PLAN) == "Plan(2 heads, 3 blocks of 2 queries to 3 blocks of 3 keys, 22.86% of all pairs kept)"
    )


def test_as_text_and_as_a_table() -> None:
    lines = str(PLAN.summary()).splitlines()
    assert lines[0] == "plan: 2 heads, 3 blocks of 2 queries to 3 blocks of 3 keys, 22.86% of all pairs kept"
    assert lines[1].split() == ["head", "kept", "least", "mean", "most", "empty", "unused", "busiest"]
    assert lines[2].split() == ["0", "31.43%", "0", "1.00", "2", "1", "0", "33.3%"]
    console = Console(file=io.StringIO(), width=100)
    console.print(PLAN.summary())
    printed = console.file.getvalue() if isinstance(console.file, io.StringIO) else ""
    assert "31.43%" in printed
    assert "busiest" in printed


def test_as_data() -> None:
    data = PLAN.summary().to_dict()
    assert data["key_units"] == 3
    assert data["heads"][1]["unused"] == 2


def test_a_plan_of_no_tokens() -> None:
    none = Plan(0, 0, 1, 1, np.zeros((1, 1, 0, 0), np.int32), np.zeros((1, 1, 0), np.int32))
    assert none.summary().kept == 0.0
    assert none.summary().heads[0].most == 0
