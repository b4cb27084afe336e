"""Linear weights in explanations: what was proven, or which clause prevents it."""

from __future__ import annotations

import pytest

import attndsl
from attndsl.pipeline import Bound
from attndsl.simulate.explain import explain
from tests.simulate.linear_cases import linear


def section(bound: Bound, head_dim: int = 64) -> list[str]:
    """The lines about the algorithm."""
    lines = str(explain(bound.ir, device="a100", head_dim=head_dim)).splitlines()
    begin = lines.index("algorithm") + 1
    return lines[begin : lines.index("", begin)]


def test_a_recurrence_says_what_it_rests_on() -> None:
    assert section(linear("documents", "head", shape=4096, heads=32))[:4] == [
        "  recurrence: linear in tokens, a state of 64 x 64 per head, 16 KiB",
        "    causal: no query sees a later key (my.attn:4:12)",
        "    the decay is separable, one number per head (my.attn:6:11)",
        "    documents: a change of `doc` from one token to the next resets the state",
    ]


@pytest.mark.parametrize(
    ("decay", "says"),
    [
        ("none", "nothing decays"),
        ("token", "the decay is separable, one number per head and token (my.attn:6:11)"),
        ("channel", "the decay is separable, channel by channel (my.attn:6:11)"),
    ],
)
def test_the_kind_of_decay(decay: str, says: str) -> None:
    assert section(linear(decay=decay))[2] == f"    {says}"


def test_both_algorithms_in_numbers() -> None:
    lines = section(linear(decay="head", shape=4096, heads=32))
    assert " GFLOP forward in chunks of " in lines[-3]
    assert lines[-2].startswith("  tiles would take 70.9 GFLOP: ")
    assert lines[-1].startswith("  crossover: linear time is faster from ")


def test_sums() -> None:
    assert section(linear("all", normalize="sum"))[:3] == [
        "  sums: linear in tokens, a sum over keys of 64 x 65 per head, 16.25 KiB",
        "    every query sees every key (my.attn:3:12)",
        "    nothing decays",
    ]


def routed(*sizes: int) -> Bound:
    found: Bound = attndsl.pattern("sla").bind(shape=512, heads=2, bq=sizes[0], bk=sizes[1])
    return found.branches["marginal"]


def test_sums_over_the_blocks_that_a_route_lists() -> None:
    lines = section(routed(64, 32))
    assert lines[0] == (
        "  sums: blocks of 64 queries add the sums over the blocks of 32 keys that they list, "
        "each of 64 x 65 per head, 16.25 KiB"
    )
    assert lines[1].startswith("    a listed block is seen as a whole (")
    assert lines[-1] == ("  how long tiles would take depends on the plan: `attndsl simulate` predicts it")
    assert "too small for states of their own" in section(routed(16, 16))[1]
    assert section(routed(64, 32).using("tiles"))[-1] == "    asked for; sums are possible"


def test_an_obstacle_is_named_with_its_place_and_what_follows_from_it() -> None:
    assert section(linear("window")) == [
        "  tiles: every visible pair is computed, although the weights are linear",
        "    no linear time: `attend` is not `causal`, alone or within documents (my.attn:3:12)",
        "    long calls are refused unless they ask for it: using('tiles') (A0672)",
    ]


def test_an_obstacle_where_channels_decay_leaves_nothing() -> None:
    refused = "    tiles cannot compute decays of channels: calls are refused (A0673)"
    assert section(linear("window", "channel"))[-1] == refused


def test_tiles_that_were_asked_for() -> None:
    assert section(linear().using("tiles")) == [
        "  tiles: every visible pair is computed, although the weights are linear",
        "    asked for; a recurrence is possible",
    ]


def test_work_is_that_of_pairs() -> None:
    assert "work, pair by pair" in str(explain(linear().ir)).splitlines()


def test_other_weights_say_nothing_of_algorithms() -> None:
    text = str(explain(attndsl.pattern("causal").bind(shape=256).ir))
    assert "algorithm" not in text
    assert "work" in text.splitlines()
