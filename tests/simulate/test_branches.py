"""Predictions of patterns with branches: each branch by itself, and the sum of their work."""

from __future__ import annotations

import json

import pytest

import attndsl
from attndsl.diagnostics import AttnError
from attndsl.pipeline import Bound
from attndsl.simulate.branches import BranchesReport, explain_branches

TWO = attndsl.parse(
    """
pattern two(near: int):
    space tokens(n)
    branch window:
        attend sliding(near)
    branch everything:
        attend true
    combine window + everything
"""
).bind(shape=1024, heads=2, near=127)
AGENT = attndsl.pattern("agent").bind(shape=1024, heads=2, agents=64)


def report_of(bound: Bound) -> BranchesReport:
    report = bound.simulate("b200", attention_share=0.5)
    assert isinstance(report, BranchesReport)
    return report


def test_the_work_is_the_sum_over_branches() -> None:
    report = report_of(TWO)
    window, everything = report.branches["window"], report.branches["everything"]
    assert report.visited_tiles == window.visited_tiles + everything.visited_tiles
    assert report.density == pytest.approx(window.density + 1.0)
    assert 1 / report.tile_speedup == pytest.approx(1 / window.tile_speedup + 1.0)
    assert report.end_to_end_speedup == pytest.approx(1 / (0.5 + 0.5 / report.tile_speedup))


def test_a_branch_among_blocks_counts_its_own_pairs() -> None:
    assert report_of(AGENT).density == pytest.approx(2 * 64 / 1024)


def test_tiles_are_given_to_branches_in_the_spaces_of_the_pattern() -> None:
    report = AGENT.simulate(q_tile=32, kv_tile=16)
    assert isinstance(report, BranchesReport)
    assert report.branches["spread"].q_tile == (32,)
    assert report.branches["spread"].kv_tile != (16,)
    assert report.branches["gather"].kv_tile == (16,)


def test_a_linear_branch_takes_linear_time() -> None:
    report = report_of(attndsl.pattern("lizard").bind(shape=2**20, heads=2, window=128))
    figures = report.branches["far"].linear
    assert figures is not None
    assert figures.linear is not None
    assert figures.quadratic is not None
    slow = figures.linear.seconds / figures.quadratic.seconds / report.branches["far"].tile_speedup
    assert 1 / report.tile_speedup == pytest.approx(slow + 1 / report.branches["near"].tile_speedup)


def test_reports_are_texts_and_json() -> None:
    report = report_of(TWO)
    assert "branch window" in str(report)
    data = json.loads(json.dumps(report.to_dict()))
    assert data["branches"]["window"]["density"] == report.branches["window"].density
    assert data["tile_speedup"] == report.tile_speedup


def test_every_branch_is_explained() -> None:
    found = explain_branches(TWO.ir)
    assert set(found.branches) == {"window", "everything"}
    assert found.flops == sum(each.flops for each in found.branches.values())
    assert "branch window" in str(found)
    json.dumps(found.to_dict())


@pytest.mark.parametrize("what", ["simulate", "schedule"])
def test_channels_have_no_tiles(what: str) -> None:
    with pytest.raises(AttnError, match="A0431"):
        getattr(attndsl.pattern("channel_attention").bind(shape=8, heads=1), what)()
