"""Routing in predictions, as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attndsl.simulate.units import duration, large

if TYPE_CHECKING:
    from attndsl.simulate.branch_times import BranchTimes
    from attndsl.simulate.routing import RoutingFigures, Spread
    from attndsl.simulate.selection_work import SelectionWork

WAYS = {
    "blocks": "blocks of queries and keys",
    "gathered": "queries gathered by block of keys",
    "tokens": "keys gathered one by one",
    "groups": "tokens gathered by group",
}


def routing_lines(found: RoutingFigures) -> Iterator[str]:
    """What plans keep, how even that is, and what selection costs."""
    yield f"  routing           {_source(found)}, {WAYS[found.regime]}"
    yield f"    {'kept':<15} {_percent(found.kept)} of all pairs in lists"
    yield f"    {'load':<15} {'; '.join(_loads(found))}"
    yield f"    {'selection':<15} {_selection(found)}"
    yield f"    {'':<15} {', '.join(_parts(found.selection))}"
    yield f"    {'attention':<15} {_attention(found)}"
    yield f"    {'dense':<15} {duration(found.dense_seconds)}: both together are {_compared(found.speedup)}"
    yield f"    {'for':<15} batch {found.batch}, head_dim {found.head_dim}, bfloat16, forward"


def _attention(found: RoutingFigures) -> str:
    time = f"{duration(found.attention_seconds.mean)}{_around(found.attention_seconds)}"
    if found.sums is None:
        return time
    work, by_tiles = found.sums, found.tiles_seconds.mean
    cost = f"{large(work.flops)}FLOP, {large(work.bytes)}B"
    return f"{time}, {cost}: states of blocks are added; tiles would take {duration(by_tiles)}"


def times_lines(found: BranchTimes) -> Iterator[str]:
    """For patterns of branches: selection and attention of all of them."""
    parts = f"selection {duration(found.selection_seconds)}, attention {duration(found.attention_seconds)}"
    yield f"  time              {parts}: {found.selection_share:.0%} is selection"
    yield f"  dense             {duration(found.dense_seconds)}: both together are {_compared(found.speedup)}"


def _compared(speedup: float) -> str:
    return f"{speedup:.3g}x as fast" if speedup >= 1 else f"{1 / speedup:.3g}x slower"


def _source(found: RoutingFigures) -> str:
    if found.distribution is None:
        return "the given plan" if found.plans == 1 else f"the given plan, {found.plans} batch elements"
    given = found.distribution
    plans = f"{found.plans} random plan{'s' * (found.plans != 1)}"
    return f"{plans} (skew {given.skew:g}, locality {given.locality:g}, seed {given.seed})"


def _loads(found: RoutingFigures) -> Iterator[str]:
    what = "query" if found.regime == "gathered" else "q tile"
    yield f"the busiest {what} {found.imbalance.mean:.3g}x the mean"
    if found.key_imbalance is not None:
        yield f"the most wanted block of keys {found.key_imbalance.mean:.3g}x the mean"


def _selection(found: RoutingFigures) -> str:
    work = found.selection
    cost = f"{duration(work.seconds)}, {large(work.flops)}FLOP, {large(work.bytes)}B"
    return f"{cost}, {work.launches:,} launches: {found.selection_share:.0%} of the total"


def _parts(work: SelectionWork) -> Iterator[str]:
    """The kinds of operations that take the most time."""
    for name, time in sorted(work.parts.items(), key=lambda part: -part[1]):
        if time >= 0.01 * work.seconds:
            yield f"{name} {duration(time)}"


def _percent(figure: Spread) -> str:
    around = f" ± {figure.deviation:.2%}" if figure.deviation >= 5e-5 else ""
    return f"{figure.mean:.2%}{around}"


def _around(figure: Spread) -> str:
    """The deviation as a part of the mean, where there is any."""
    part = figure.deviation / figure.mean if figure.mean else 0.0
    return f" ± {part:.1%}" if part >= 5e-4 else ""


def spread_of(figure: Spread) -> str:
    """A deviation of a speedup."""
    return f" ± {figure.deviation:.2f}" if figure.deviation >= 5e-3 else ""


def speedups_of(found: RoutingFigures) -> tuple[Spread, Spread]:
    """By the worst q tile, and in the mean."""
    return found.tile_speedup, found.tile_speedup_mean
