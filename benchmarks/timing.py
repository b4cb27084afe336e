"""Fair timing of several functions in one process: they take turns, and medians are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median

from attndsl.cli.timing import seconds_of

Contenders = Mapping[str, Callable[[], object]]
Measure = Callable[[Callable[[], object]], float]
"""Calls a function and returns the seconds it took."""


def take_turns(
    contenders: Contenders, rounds: int, calls: int = 3, measure: Measure = seconds_of
) -> dict[str, list[float]]:
    """Seconds per call of each contender in each round, the median of `calls` calls.

    Within a round every contender has one turn, so that a slow moment of the machine meets all of
    them. A turn starts with one call that is not timed: it fetches the contender's own data into
    the caches and lets the threads of the one before come to rest.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, function in contenders.items():
            function()
            seconds[name].append(median(measure(function) for _ in range(calls)))
    return seconds


def speedup(slow: list[float], fast: list[float]) -> float:
    """How many times faster `fast` is: the median of the ratios of the same round."""
    return median(a / b for a, b in zip(slow, fast, strict=True))
