"""Times calls on a GPU by its own clock: events before and after, with the second-level cache emptied."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from statistics import median

import torch
from torch import Tensor

from attndsl.cli.timing import seconds_of
from benchmarks.timing import Contenders, take_turns

CACHE = 256 * 2**20
"""Bytes to write before a call: more than any second-level cache. Meanwhile the host can issue the call."""

MOST_ROUNDS, FEWEST_ROUNDS, CALLS = 9, 3, 3


def device_seconds(function: Callable[[], object]) -> float:
    """The time of one call on the current GPU; without a GPU, on the wall's clock."""
    if not torch.cuda.is_available():
        return seconds_of(function)
    start, end = _event(), _event()
    _other_data().zero_()
    start.record()
    function()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


@cache
def _other_data() -> Tensor:
    return torch.empty(CACHE, dtype=torch.int8, device="cuda")


def within(contenders: Contenders, budget: float) -> dict[str, list[float]]:
    """Seconds of each contender per round, with as many rounds as the budget (in seconds) has room for.

    Without a budget each is timed once.
    """
    if not budget:
        return take_turns(contenders, 1, calls=1, measure=device_seconds)
    once = sum(device_seconds(function) for function in contenders.values())
    rounds = int(budget / (once * (CALLS + 1)))
    if rounds < FEWEST_ROUNDS:
        return take_turns(contenders, FEWEST_ROUNDS, calls=1, measure=device_seconds)
    return take_turns(contenders, min(rounds, MOST_ROUNDS), CALLS, measure=device_seconds)


def medians(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Median milliseconds."""
    return {name: 1e3 * median(values) for name, values in seconds.items()}
