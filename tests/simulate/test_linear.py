"""Linear weights in reports: which algorithm and why, both forms beside each other, and the crossover."""

from __future__ import annotations

import json
from typing import Any

import pytest

import attndsl
from attndsl.pipeline import Bound, Pattern
from attndsl.simulate.linear import LinearFigures
from tests.simulate.linear_cases import linear

CROSSING = [
    (linear(decay="head", heads=32), "a100"),
    (linear(decay="token", heads=4), "h100"),
    (linear(normalize="sum", heads=16), "b200"),
    (linear("documents", heads=64), "mi300x"),
    (linear("all", heads=8), "a100"),
]
ids = [f"{bound.algorithm}-{number}" for number, (bound, _) in enumerate(CROSSING)]


def figures(bound: Bound, device: str = "a100", **request: Any) -> LinearFigures:
    """The figures of linear weights, which are there."""
    found = bound.simulate(device, **request).linear
    assert found is not None
    return found


def at(bound: Bound, tokens: int) -> Bound:
    """The same pattern at another length."""
    assert bound.ir.pattern is not None
    return Pattern(bound.ir.pattern).bind(shape=tokens, heads=bound.ir.heads)


@pytest.mark.parametrize(("bound", "device"), CROSSING, ids=ids)
def test_from_the_crossover_on_linear_time_is_faster(bound: Bound, device: str) -> None:
    crossover = figures(bound, device).crossover_tokens
    assert crossover is not None
    for tokens in (crossover // 4, crossover - 1, crossover, crossover + 1, 3 * crossover):
        found = figures(at(bound, tokens), device)
        assert found.linear is not None
        assert found.quadratic is not None
        assert (found.linear.seconds < found.quadratic.seconds) == (tokens >= crossover)
        assert found.crossover_tokens == crossover


def test_more_heads_and_batch_entries_move_the_crossover_down() -> None:
    few, more = (figures(linear(decay="head", heads=heads)) for heads in (4, 64))
    batch = figures(linear(decay="head", heads=4), batch=16)
    assert few.crossover_tokens is not None
    assert more.crossover_tokens is not None
    assert more.crossover_tokens < few.crossover_tokens
    assert batch.crossover_tokens == more.crossover_tokens


def test_tiles_that_are_asked_for_are_compared_with_what_was_proven() -> None:
    bound = linear("documents", "head")
    asked = figures(bound.using("tiles"))
    assert (asked.algorithm, asked.proven, asked.documents) == ("tiles", "recurrence", "doc")
    assert asked.crossover_tokens == figures(bound).crossover_tokens
    assert "tiles: asked for; a recurrence is possible" in str(bound.using("tiles").simulate())


def test_decays_of_channels_have_no_tiles_to_compare_with() -> None:
    found = figures(linear(decay="channel"))
    assert found.linear is not None
    assert (found.quadratic, found.crossover_tokens) == (None, None)


def test_an_obstacle_leaves_tiles_only_and_names_the_clause() -> None:
    bound = linear("window")
    found = figures(bound)
    missing = (found.linear, found.proven, found.crossover_tokens, found.chunk, found.state)
    assert missing == (None,) * 5
    assert found.quadratic is not None
    assert "tiles: `attend` is not `causal`, alone or within documents (my.attn:3:12)" in str(
        bound.simulate()
    )


def test_the_state() -> None:
    assert figures(linear(), head_dim=64).state == (64, 64)
    assert figures(linear(normalize="sum"), head_dim=64).state == (64, 65)
    found = figures(linear(heads=2), head_dim=64, batch=3)
    assert (found.state_bytes_per_head, found.state_bytes) == (64 * 64 * 4, 3 * 2 * 64 * 64 * 4)


def test_figures_of_tiles_keep_their_meaning() -> None:
    ours, plain = linear(decay="head", shape=1000).simulate(), attndsl.pattern("causal").bind(shape=1000)
    other = plain.simulate()
    promised = """tokens density flop_speedup tile_speedup tile_speedup_mean visited_tiles total_tiles q_tile
    kv_tile perfectly_block_sparse end_to_end_speedup flop_end_to_end_speedup"""
    for name in promised.split():
        assert ours.to_dict()[name] == other.to_dict()[name]


def test_json() -> None:
    data = linear(decay="token", shape=4096).simulate("h100", head_dim=64, batch=2).to_dict()
    assert data == json.loads(json.dumps(data, allow_nan=False))
    assert data["algorithm"] == data["linear"]["algorithm"] == "recurrence"
    assert data["crossover_tokens"] == data["linear"]["crossover_tokens"]
    assert (data["linear"]["batch"], data["linear"]["head_dim"]) == (2, 64)
    assert data["linear"]["mask_place"] == "my.attn:4:12"
    for name in ("linear", "quadratic"):
        work = data["linear"][name]
        assert work["flops_per_head"] == work["flops"] / 4
        assert work["seconds"] > 0


def test_other_weights_have_nothing_to_compare() -> None:
    report = attndsl.pattern("causal").bind(shape=256).simulate()
    assert (report.algorithm, report.linear, report.crossover_tokens) == ("tiles", None, None)
    assert "algorithm" not in str(report)


def test_the_text_of_a_prediction() -> None:
    bound = linear(decay="head", shape=32768, heads=32)
    lines = str(bound.simulate("a100", batch=4)).splitlines()
    first = next(number for number, line in enumerate(lines) if "algorithm" in line)
    found = figures(bound, batch=4)
    assert found.linear is not None
    recurrence, ratio = found.linear, 161.73e-3 / found.linear.seconds
    assert lines[first : first + 5] == [
        f"  algorithm         recurrence, predicted {ratio:.3g}x as fast as tiles",
        f"    recurrence      {recurrence.seconds * 1e3:.3g} ms, {recurrence.flops / 1e9:.3g} GFLOP, "
        f"4.31 GB in chunks of {found.chunk} tokens",
        "    tiles           162 ms, 35.3 TFLOP, 4.31 GB",
        f"    crossover       linear time is faster from {found.crossover_tokens:,} tokens on",
        "    for             batch 4, head_dim 128, bfloat16, forward",
    ]


def test_a_short_text_is_slower_than_tiles() -> None:
    assert "x slower than tiles" in str(linear(decay="head", shape=256).simulate())


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "64"])
def test_sizes_that_are_no_sizes_are_refused(size: Any) -> None:
    for name in ("head_dim", "batch"):
        with pytest.raises(attndsl.AttnScheduleError, match="A0553"):
            linear().simulate(**{name: size})
