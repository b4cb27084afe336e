"""Commands on patterns of branches: the whole, or the branch that --branch names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

AGENT = ("agent", "--shape", "60", "--heads", "2", "--set", "agents=6")
LIZARD = ("lizard", "--shape", "60", "--heads", "2", "--set", "window=12")


def test_predictions_and_explanations_are_of_every_branch(run: Callable[..., Any]) -> None:
    assert "branch gather" in run("simulate", *AGENT).out
    assert "branch spread" in run("explain", *AGENT).out
    assert set(json.loads(run("simulate", *AGENT, "--json").out)["branches"]) == {"gather", "spread"}


def test_a_picture_shows_the_union_or_one_branch(run: Callable[..., Any], tmp_path: Path) -> None:
    for words in (LIZARD, (*LIZARD, "--branch", "near"), (*AGENT, "--branch", "gather")):
        assert run("show", *words, "-o", tmp_path / "a.png").code == 0


def test_a_kernel_is_of_one_branch(run: Callable[..., Any]) -> None:
    assert "lizard_w12_near" in run("compile", *LIZARD, "--branch", "near").out
    assert (
        "schedule of agent_a6_spread"
        in run("compile", *AGENT, "--branch", "spread", "--emit", "schedule").out
    )
    assert "combine spread" in run("compile", *AGENT, "--emit", "ir").out


def test_what_needs_one_branch_asks_for_it(refuse: Callable[..., str]) -> None:
    assert "--branch gather" in refuse("compile", *AGENT)
    assert "--branch gather" in refuse("show", *AGENT)
    assert "A0530" in refuse("bench", *AGENT)
    assert "A0530" in refuse("simulate", *AGENT, "--optimize")
    assert "its branches: gather, spread" in refuse("show", *AGENT, "--branch", "gathr")


def test_flows_have_no_kernel_to_print(refuse: Callable[..., str]) -> None:
    assert "A0707" in refuse("compile", "flowformer", "--shape", "6,6", "--heads", "1")
    assert "A0431" in refuse("bench", "channel_attention", "--shape", "6,6", "--heads", "1")
