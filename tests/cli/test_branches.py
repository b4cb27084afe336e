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


def test_kernels_of_the_whole_are_a_section_for_every_branch(run: Callable[..., Any]) -> None:
    out = run("compile", *LIZARD).out
    assert [line for line in out.splitlines() if line.startswith("// branch ")] == [
        "// branch far",
        "// branch near",
    ]
    assert "// recurrence_forward in float32" in out
    assert "bound lizard_w12_near" in out
    assert "# branch near" in run("compile", *LIZARD, "--target", "sm90").out
    assert run("compile", *AGENT, "--emit", "schedule").out.startswith("branch gather\nschedule of agent_a6")


def test_kernels_of_the_whole_are_a_file_for_every_branch(run: Callable[..., Any], tmp_path: Path) -> None:
    said = run("compile", *LIZARD, "-o", tmp_path / "lizard.cpp").out
    files = [tmp_path / "lizard.far.cpp", tmp_path / "lizard.near.cpp"]
    assert said.splitlines() == [f"wrote {file}" for file in files]
    assert sorted(tmp_path.iterdir()) == files
    assert run("compile", *LIZARD, "--branch", "far").out == files[0].read_text()


def test_a_branch_without_a_kernel_says_so_beside_the_others(run: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "both.attn"
    file.write_text(
        "pattern both:\n    space tokens(n)\n    branch all_keys:\n        attend true\n        weight s\n"
        "    branch near:\n        attend sliding(4)\n    combine all_keys + near\n"
    )
    why = "the sums over all keys of `both_all_keys` are computed by products of matrices in torch"
    words = ("compile", file, "--shape", "40", "--heads", "1")
    assert f"// branch all_keys\n// {why}\n\n// branch near\n" in run(*words).out
    said = run(*words, "-o", tmp_path / "both.cpp").out.splitlines()
    assert said == [f"branch all_keys: {why}", f"wrote {tmp_path / 'both.near.cpp'}"]


def test_sums_over_blocks_have_no_kernel(run: Callable[..., Any]) -> None:
    out = run("compile", "sla", "--shape", "256", "--heads", "1", "--emit", "tile-ir").out
    assert "branch critical\nprogram forward(" in out
    assert "the sums over blocks of keys of `sla_marginal` are computed by products of matrices" in out


def test_what_needs_one_branch_asks_for_it(refuse: Callable[..., str]) -> None:
    assert "--branch gather" in refuse("show", *AGENT)
    assert "A0530" in refuse("simulate", *AGENT, "--optimize")
    assert "its branches: gather, spread" in refuse("show", *AGENT, "--branch", "gathr")


def test_flows_have_no_kernel_to_print(refuse: Callable[..., str]) -> None:
    assert "A0707" in refuse("compile", "flowformer", "--shape", "6,6", "--heads", "1")
    assert "A0431" in refuse("bench", "channel_attention", "--shape", "6,6", "--heads", "1")
