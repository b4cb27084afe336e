"""attndsl as a contender: the bound patterns of the cases, and its time against density."""

from __future__ import annotations

from functools import partial
from statistics import median

import attndsl
from attndsl.pipeline import Bound
from benchmarks.cases import HEADS, Case
from benchmarks.contenders import random_tensors
from benchmarks.results import DensityPoint
from benchmarks.timing import speedup, take_turns

FULL = Case("full", "full", (4096,), None, 1.0)
RADII = (992, 480, 173, 70, 9)
"""Windows over the tokens of `FULL` whose tiles cover about a half, a quarter, 10 %, 5 % and 2 %."""


def bind_case(case: Case) -> Bound:
    """The case's pattern with its numbers."""
    return attndsl.pattern(case.pattern).bind(shape=case.shape, heads=HEADS, **case.parameters)


def tile_density(bound: Bound) -> float:
    """Visited tile pairs / all tile pairs."""
    schedule = bound.schedule()
    return float(schedule.visited_tiles / schedule.total_tiles)


def density_sweep(rounds: int) -> list[DensityPoint]:
    """Windows from wide to narrow beside full attention, all by attndsl, float32."""
    sliding = attndsl.pattern("sliding_window")
    windows = {
        f"window-{radius}": sliding.bind(shape=FULL.shape, heads=HEADS, left=radius, right=radius)
        for radius in RADII
    }
    tensors = random_tensors(FULL)
    bounds = {"full": bind_case(FULL), **windows}
    calls = {name: partial(bound, tensors.q, tensors.k, tensors.v) for name, bound in bounds.items()}
    seconds = take_turns(calls, rounds)
    return [
        DensityPoint(
            radius=radius,
            tile_density=tile_density(windows[name]),
            milliseconds=1e3 * median(seconds[name]),
            speedup=speedup(seconds["full"], seconds[name]),
        )
        for radius, name in zip(RADII, windows, strict=True)
    ]
