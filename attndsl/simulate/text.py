"""Predictions as text for people and as plain data for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from attndsl.ir.headline import box
from attndsl.simulate.linear_text import algorithm_lines
from attndsl.simulate.routing_text import routing_lines, speedups_of, spread_of
from attndsl.simulate.speedup import end_to_end

if TYPE_CHECKING:
    from attndsl.simulate.blame import Blame
    from attndsl.simulate.report import Report
    from attndsl.simulate.speedup import HeadFigures

MOST_REASONS = 6
SPEEDUPS = ("flop_speedup", "end_to_end_speedup", "end_to_end_speedup_mean", "flop_end_to_end_speedup")
"""The figures that follow from others."""


def plain(value: Any) -> Any:
    """A value as JSON has it: tuples become lists, infinite numbers None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def report_as_dict(report: Report) -> dict[str, Any]:
    """All figures of a report as JSON has them."""
    own = ("device", "partial_because", "head_figures", "linear", "routing")
    names = (*(name for name in report.__dataclass_fields__ if name not in own), *SPEEDUPS)
    data = {name: getattr(report, name) for name in names}
    data |= {
        "device": report.device.name,
        "partial_tiles": report.partial_tiles,
        "perfectly_block_sparse": report.perfectly_block_sparse,
        "partial_because": [blame_as_dict(each) for each in report.partial_because],
        "head_figures": [{**vars(each), "flop_speedup": each.flop_speedup} for each in report.head_figures],
        "algorithm": report.algorithm,
        "crossover_tokens": report.crossover_tokens,
        "linear": report.linear.to_dict() if report.linear else None,
        "routing": _routing_as_dict(report),
    }
    plain_data: dict[str, Any] = plain(data)
    return plain_data


def _routing_as_dict(report: Report) -> dict[str, Any] | None:
    """The figures of a route, and the speedup of a model with its selection."""
    if report.routing is None:
        return None
    whole = end_to_end(report.routing.speedup, report.attention_share)
    return report.routing.to_dict() | {"end_to_end_speedup": whole}


def blame_as_dict(blame: Blame) -> dict[str, Any]:
    """A condition with its places as texts `file:line:column`."""
    places = {"place": blame.place, "clause_place": blame.clause_place}
    return {**vars(blame), **{name: str(span) if span else None for name, span in places.items()}}


def report_as_text(report: Report) -> str:
    """The report as a few aligned lines."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    heads = f"{report.heads} head{'s' * (report.heads != 1)}"
    keys = f" and {report.key_tokens:,} keys" if report.key_tokens != report.tokens else ""
    yield f"{report.name} on {report.device.name}: {report.tokens:,} tokens{keys}, {heads}"
    yield f"  density           {report.density:.2%}, FLOP speedup {times(report.flop_speedup)}"
    q_box, kv_box = box(report.q_tile, report.q_step), box(report.kv_tile, report.kv_step)
    yield f"  tiles             q {q_box}, kv {kv_box}"
    who = "query" if report.routing and report.routing.regime == "gathered" else "q tile"
    worst = f"the worst {who} visits {report.worst_q_tile_visits:,} of {report.dense_kv_tiles:,} kv tiles"
    around = tuple(map(spread_of, speedups_of(report.routing))) if report.routing else ("", "")
    mean = times(report.tile_speedup_mean) + around[1]
    yield f"  tile speedup      {times(report.tile_speedup)}{around[0]} ({worst}), mean {mean}"
    partial = f"{report.full_tiles:,} full, {report.partial_tiles:,} partial"
    yield f"  visited tiles     {report.visited_tiles:,} of {report.total_tiles:,}: {partial}"
    yield f"  block-sparse      {_verdict(report)}"
    yield from reasons(report.partial_because)
    if report.attention_share is not None:
        share = f"of a model with {report.attention_share:.1%} attention"
        flop = times(report.flop_end_to_end_speedup)
        yield f"  end to end        {times(report.end_to_end_speedup)} {share}; by FLOPs {flop}"
        if report.routing is not None:
            whole = end_to_end(report.routing.speedup, report.attention_share)
            yield f"                    {times(whole)} by predicted times, selection included"
    if len(report.head_figures) > 1:
        yield from _heads(report.head_figures)
    if report.linear is not None:
        yield from algorithm_lines(report.linear)
    if report.routing is not None:
        yield from routing_lines(report.routing)
    yield from (f"  note: {note}" for note in report.notes)


def _verdict(report: Report) -> str:
    if report.perfectly_block_sparse:
        return "perfectly: no visited tile is partly visible"
    return (
        f"not perfectly: {report.partial_tiles / report.visited_tiles:.1%} of the visited tiles are partial"
    )


def reasons(found: Sequence[Blame]) -> Iterator[str]:
    """Which conditions of which clause are undecided in how many PARTIAL tiles, one line each."""
    clauses = dict.fromkeys((each.clause, each.clause_place) for each in found)
    for clause, place in clauses:
        yield f"    in `attend {clause}`{f' ({place})' if place else ''}:"
        own = [each for each in found if (each.clause, each.clause_place) == (clause, place)]
        for each in own[:MOST_REASONS]:
            where = f" ({each.place})" if each.place and each.place != place else ""
            on = f" on {', '.join(each.axes)}" if each.axes else ""
            yield f"      {each.tiles:>11,} tiles: `{each.text}`{on}{where}"
        if len(own) > MOST_REASONS:
            yield f"      and {len(own) - MOST_REASONS} more conditions"


def _heads(figures: Sequence[HeadFigures]) -> Iterator[str]:
    yield "  heads             density  FLOP speedup  tile speedup (worst, mean)"
    for each in figures:
        speedups = (
            f"{times(each.flop_speedup):>12}  {times(each.tile_speedup):>8}, {times(each.tile_speedup_mean)}"
        )
        yield f"    {ranges(each.heads):<15} {each.density:>7.2%}  {speedups}"


def times(speedup: float | None) -> str:
    """A speedup such as `3.27x`; `unbounded` where nothing is left to do."""
    return "-" if speedup is None else f"{speedup:.2f}x" if math.isfinite(speedup) else "unbounded"


def ranges(numbers: Sequence[int]) -> str:
    """Sorted numbers as `0-3, 7`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    text = ", ".join("-".join(map(str, run)) for run in runs)
    return text if len(text) <= 40 else f"{text[:37]}..."
