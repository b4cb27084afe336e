"""Plans of groups in pictures, in files and on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import attndsl
from attndsl.show.plan_figure import draw_plan, entries
from attndsl.show.plan_panel import PlanPanel, branch_cells
from tests.simulate.test_grouped import BOUND, PLANS

WORDS = ("routing_transformer", "--shape", "96", "--heads", "2", "--set", "clusters=3", "--set", "window=20")


def test_each_head_has_a_panel_of_groups_and_tokens() -> None:
    figure = draw_plan(BOUND.ir, PLANS)
    written = [each.get_text() for each in figure.texts]
    assert {"Head 0", "Head 1"} <= set(written)
    assert "Static mask" not in written
    assert [axes.get_ylabel() for axes in figure.axes if axes.images] == ["group", "group"]
    assert "queries: batch 2, 2 heads, 3 groups to 96 queries, 20.83% of all pairs kept" in written


def test_what_is_listed_twice_is_one_pair_of_a_group_and_a_token() -> None:
    cells = branch_cells({"queries": PLANS["keys"], "keys": PLANS["keys"]}, 0, {"queries": 0, "keys": 0})
    labels = [each.label for each in entries([PlanPanel("", cells, ("group", "token"))])]
    assert labels == ["queries  60 (20.8 %)", "keys  60 (20.8 %)", "not listed  228 (79.2 %)"]


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    BOUND.save_plan(PLANS, tmp_path / "plan.npz")
    again = BOUND.load_plan(tmp_path / "plan.npz")
    assert sorted(again) == ["keys", "queries"]
    for name, plan in again.items():
        assert np.array_equal(plan.indices, PLANS[name].indices)
        assert plan.kinds == ("group", {"queries": "query", "keys": "key"}[name])


def test_the_command_line_plans_draws_and_predicts(run: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "plan.npz"
    out = run("plan", *WORDS, "--head-dim", "16", "-o", file).out
    assert out.startswith("queries: plan: 2 heads, 3 groups to 96 queries, 20.83% of all pairs kept\n")
    assert "\nkeys: plan: 2 heads, 3 groups to 96 keys" in out
    for branch in ((), ("--branch", "keys")):
        picture = tmp_path / f"plan{len(branch)}.png"
        run("show", *WORDS, "--plan", file, *branch, "-o", picture)
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert "tokens gathered by group" in run("simulate", *WORDS, "--plan", file).out


def test_the_kernel_is_told_where_members_stand(run: Callable[..., Any]) -> None:
    out = run("compile", *WORDS, "--head-dim", "32").out
    assert "key_position[k]" in out
    assert (
        "def dk_dv("
        in run("compile", *WORDS, "--head-dim", "32", "--target", "sm90", "--kernel", "dk_dv").out
    )
    assert run("compile", *WORDS, "--emit", "schedule").out.startswith("what groups may choose from")


def test_the_measured_output_is_checked(run: Callable[..., Any]) -> None:
    out = run("bench", *WORDS, "--head-dim", "16", "--rounds", "1").out
    assert "agrees with" in out
    assert "plan given" in out


def test_the_library_names_it() -> None:
    assert "routing_transformer" in attndsl.patterns()
