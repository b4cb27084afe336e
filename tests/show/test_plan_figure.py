"""Pictures of plans: classes of pairs of units, panels of heads, and what is written on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl.diagnostics import AttnCallError
from attndsl.ir.plan import Plan
from attndsl.pipeline import Bound
from attndsl.show import encode, palette
from attndsl.show.plan_figure import draw_plan, shown_heads
from attndsl.show.plan_panel import BRANCH_COLOURS, CUT, HIDDEN, SHOWN, branch_cells, plan_cells, static_map

Lists = list[list[int]]


def plan_of(lists: Lists, q_block: int, kv_block: int, heads: int = 1) -> Plan:
    """A plan of equal heads from the lists of one."""
    most = max(map(len, lists))
    rows = np.array([[*each, *[-1] * (most - len(each))] for each in lists], dtype=np.int32)
    indices = np.repeat(rows[None, None], heads, axis=1)
    return Plan(len(lists) * q_block, 64, q_block, kv_block, indices, (indices >= 0).sum(-1, dtype=np.int32))


XATTENTION = attndsl.pattern("xattention").bind(shape=64, heads=2, block=16, stride=4)
PLAN = plan_of([[0], [0, 1, 3], [], [2, 3]], 16, 16, heads=2)
SLA = attndsl.pattern("sla").bind(shape=64, heads=2, bq=16, bk=16, keep=0.25, drop=0.25)
PLANS = {
    "critical": plan_of([[0], [1], [2], [3]], 16, 16),
    "marginal": plan_of([[1, 2], [2], [0], []], 16, 16),
}

TWO_UNITS = """
pattern two:
    space tokens(n)
    blocks a of n by 16
    blocks b of n by 32
    branch near:
        route score mean(q in a) . mean(k in a)
              select top(1) per a
        attend true
    branch far:
        route score mean(q in b) . mean(k in b)
              select top(1) per b
        attend true
    combine near + far
"""


def texts(bound: Bound, plans: Any, head: int = 0) -> str:
    figure = draw_plan(bound.ir, plans, head)
    return "\n".join(text.get_text() for text in figure.texts)


def test_listed_pairs_by_what_the_mask_shows() -> None:
    cells = plan_cells(PLAN, static_map(XATTENTION.ir, 0), 0, 0)
    found = {name: list(zip(*map(list, pairs), strict=True)) for name, pairs in cells.classes.items()}
    assert found == {
        SHOWN: [(1, 0), (3, 2)],
        CUT: [(0, 0), (1, 1), (3, 3)],
        HIDDEN: [(1, 3)],
    }


def test_each_pixel_has_the_colour_of_its_class() -> None:
    image = plan_cells(PLAN, static_map(XATTENTION.ir, 0), 0, 1).image()
    assert image.shape == (4, 4, 3)
    assert np.allclose(image[1, 0], palette.rgb(palette.FULL))
    assert np.allclose(image[1, 1], palette.rgb(palette.PARTIAL))
    assert np.allclose(image[1, 3], palette.rgb(palette.MASKED))
    assert np.allclose(image[2], palette.rgb(palette.SKIPPED))


def test_branches_have_colours() -> None:
    image = branch_cells(PLANS, 0, {"critical": 0, "marginal": 0}).image()
    assert np.allclose(image[0, 0], palette.rgb(BRANCH_COLOURS[0]))
    assert np.allclose(image[0, 2], palette.rgb(BRANCH_COLOURS[1]))
    assert np.allclose(image[3, 0], palette.rgb(palette.SKIPPED))


def test_long_plans_are_averaged() -> None:
    lists = [[query % 4] for query in range(4096)]
    moba = attndsl.pattern("moba").bind(shape=64, heads=1, block=16)
    cells = plan_cells(plan_of(lists, 1, 16), static_map(moba.ir, 0), 0, 0)
    assert cells.image().shape == (586, 4, 3)


def test_the_picture_names_heads_and_counts() -> None:
    shown = texts(XATTENTION, PLAN)
    for words in ("xattention_b16_s4: plan", "Static mask", "Head 0", "Head 1", "partial  6 (18.8 %)"):
        assert words in shown
    assert "hidden by the mask  2" in shown
    assert "Head 0" not in texts(XATTENTION, PLAN, head=1)


def test_the_picture_of_branches() -> None:
    shown = texts(SLA, PLANS)
    for words in ("critical: 1 head", "marginal: 1 head", "critical  4 (25 %)", "not listed  8 (50 %)"):
        assert words in shown
    assert "marginal" not in texts(SLA, {"critical": PLANS["critical"]})


def test_heads_that_share_a_list_are_drawn_once() -> None:
    assert shown_heads(8, [PLAN], 0) == [0, 4]
    assert shown_heads(8, [PLAN], 1) == [1, 4]
    assert shown_heads(2, [PLAN], 0) == [0, 1]


def test_it_becomes_a_file() -> None:
    assert encode(draw_plan(XATTENTION.ir, PLAN), Path("plan.svg")).startswith(b"<?xml")


def test_plans_over_other_units_in_one_picture(golden: Callable[[str, str], None]) -> None:
    bound = attndsl.parse(TWO_UNITS).bind(shape=64, heads=1)
    plans = {"near": plan_of([[0]] * 4, 16, 16), "far": plan_of([[0]] * 2, 32, 32)}
    with pytest.raises(AttnCallError, match="A0697") as caught:
        draw_plan(bound.ir, plans)
    golden("errors/plans_over_other_units.txt", caught.value.render() + "\n")


def test_a_plan_that_does_not_fit() -> None:
    with pytest.raises(AttnCallError, match="A0696"):
        draw_plan(XATTENTION.ir, plan_of([[0]] * 2, 32, 32))
