"""Fair timing: contenders take turns, and their medians are compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

BUDGET = 30.0
"""Seconds after which a contender gets no further turn."""


def seconds_of(function: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def take_turns(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round, after a first call that is not counted.

    Within a round every contender has one turn, so that a slow moment of the machine meets all of them.
    """
    for function in contenders.values():
        function()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, function in contenders.items():
            if sum(seconds[name]) < BUDGET:
                seconds[name].append(seconds_of(function))
    return seconds
