"""Contenders take turns, and none runs for ever."""

from __future__ import annotations

import pytest

from attndsl.cli import timing


def test_contenders_take_turns_after_one_call_that_does_not_count() -> None:
    calls: list[str] = []
    seconds = timing.take_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2)
    assert "".join(calls) == "ab" + "abab"
    assert {name: len(times) for name, times in seconds.items()} == {"a": 2, "b": 2}


def test_a_slow_contender_has_at_least_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "BUDGET", 1e-9)
    seconds = timing.take_turns({"a": lambda: sum(range(1000))}, rounds=5)
    assert len(seconds["a"]) == 1
