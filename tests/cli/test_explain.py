"""`attndsl explain PATTERN`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

WORDS = ("explain", "sliding_window", "--shape", "4096", "--set", "left=100", "--set", "right=27")


def test_the_cost_is_a_formula_in_the_patterns_names(run: Callable[..., Any]) -> None:
    outcome = run(*WORDS)
    assert outcome.code == 0
    assert "left + right + 1" in outcome.out


def test_json_has_exact_numbers(run: Callable[..., Any]) -> None:
    found = json.loads(run(*WORDS, "--head-dim", "64", "--json").out)
    pairs = 4096 * 128 - 100 * 101 / 2 - 27 * 28 / 2
    assert found["flops"] == pytest.approx(4 * 64 * pairs)
    assert found["report"]["density"] == pytest.approx(pairs / 4096**2)


def test_keys(run: Callable[..., Any], golden: Callable[[str, str], None]) -> None:
    golden("cli/explain_keys.txt", "\n".join(json.loads(run(*WORDS, "--json").out)) + "\n")


def test_tiles_and_device_are_those_asked_for(run: Callable[..., Any]) -> None:
    words = ("--q-tile", "256", "--kv-tile", "64", "--device", "h100", "--json")
    report = json.loads(run(*WORDS, *words).out)["report"]
    assert (report["q_tile"], report["kv_tile"], report["device"]) == ([256], [64], "h100")


def test_linear_weights_say_what_prevents_linear_time(run: Callable[..., Any]) -> None:
    words = ("explain", "scatter_window", "--shape", "16,16", "--set", "window=4")
    assert "no linear time: `attend` is not `causal`" in run(*words).out
