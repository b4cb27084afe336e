"""An explanation as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attndsl.ir.headline import box
from attndsl.simulate.choices import Choice, spelled
from attndsl.simulate.linear_text import algorithm_section
from attndsl.simulate.text import ranges, reasons, times
from attndsl.simulate.units import large

if TYPE_CHECKING:
    from attndsl.simulate.cost import Cost
    from attndsl.simulate.explain import Explanation

CLOSE = 0.25
"""A mean by formula that is further from the exact one, relatively, is not shown."""

NO_SETTING = "no setting near this one is perfectly block-sparse"


def explanation_as_text(explanation: Explanation) -> str:
    """Short sections: algorithm of linear weights; work; tiles; partial tiles and what would avoid them."""
    return "\n".join(_lines(explanation))


def _lines(explanation: Explanation) -> Iterator[str]:
    report = explanation.report
    yield f"{report.name}: {report.tokens:,} tokens, {report.heads} head{'s' * (report.heads != 1)}"
    if report.linear is not None:
        yield ""
        yield from algorithm_section(report.linear, report.device.name)
    yield ""
    yield "work, pair by pair" if report.linear else "work"
    yield from _work(explanation)
    yield ""
    yield f"tiles on {report.device.name}"
    yield from _tiles(explanation)
    yield ""
    yield "partial tiles"
    yield from _partial(explanation)
    yield from (f"  note: {note}" for note in report.notes)


def _work(explanation: Explanation) -> Iterator[str]:
    report, costs = explanation.report, explanation.costs
    groups: dict[str | None, list[Cost]] = {}
    for cost in costs:
        groups.setdefault(cost.formula.text if cost.formula else None, []).append(cost)
    for alike in groups.values():
        heads = sorted(head for cost in alike for head in cost.heads)
        which = f"head{'s' * (len(heads) > 1)} {ranges(heads)}: " if len(groups) > 1 else ""
        yield f"  {which}{_keys(alike, report.key_tokens)}"
    if len(costs) == 1 and costs[0].formula and costs[0].is_exact:
        yield f"  FLOPs: 4 * head_dim * heads * tokens * {_factor(costs[0].formula.mean_text)}"
    total = f"{large(explanation.flops)}FLOP forward"
    yield f"  {total} with head_dim {explanation.head_dim}, all heads, batch 1: {report.density:.2%} of dense"


def _keys(costs: list[Cost], tokens: int) -> str:
    """How many keys a query sees, by formula where there is one; the heads share the formula."""
    cost, formula = costs[0], costs[0].formula
    means = sorted({cost.keys_per_query for cost in costs})
    numbers = f"{means[0]:,.6g}" if len(means) == 1 else f"{means[0]:,.6g} to {means[-1]:,.6g}"
    mean = f"{numbers} of {tokens:,} keys in the mean"
    if formula is None:
        return f"a query sees {mean} (no formula in the pattern's names)"
    if cost.is_exact and formula.text == formula.mean_text:
        equal = numbers if formula.text == numbers else f"{formula.text} = {numbers}"
        return f"every query sees {equal} of {tokens:,} keys"
    if cost.is_exact:
        return f"a query sees {formula.text} keys: {formula.mean_text} = {mean}"
    if len(means) == 1 and formula.text == formula.mean_text and abs(formula.mean / means[0] - 1) <= CLOSE:
        return f"a query away from the edges sees {formula.text} = {formula.mean:,.6g} keys, {mean}"
    query = ", ".join(map(str, formula.query))
    return f"a query sees {mean}; the one at ({query}) and those like it see {formula.text}"


def _tiles(explanation: Explanation) -> Iterator[str]:
    report = explanation.report
    q_box, kv_box = box(report.q_tile, report.q_step), box(report.kv_tile, report.kv_step)
    yield f"  q {q_box}, kv {kv_box}"
    worst = f"at most {report.worst_q_tile_visits:,} of {report.dense_kv_tiles:,}"
    yield f"  a q tile visits {worst} kv tiles: {times(report.tile_speedup)} over dense, {_mean(explanation)}"
    if report.contiguous:
        yield "  they are one contiguous range for every q tile: a kernel needs no list"
    else:
        runs = explanation.runs_per_q_tile
        yield f"  they are {runs:.1f} runs of neighbours per q tile: a kernel needs a list"
    if len(report.head_figures) > 1:
        yield f"  the heads have {len(report.head_figures)} different masks"


def _mean(explanation: Explanation) -> str:
    report = explanation.report
    return f"{times(report.tile_speedup_mean)} in the mean, {times(report.flop_speedup)} by FLOPs"


def _partial(explanation: Explanation) -> Iterator[str]:
    report = explanation.report
    if report.perfectly_block_sparse:
        yield "  none: perfectly block-sparse, the tile speedup is the FLOP speedup"
        return
    yield f"  {report.partial_tiles:,} of {report.visited_tiles:,} visited tiles are undecided"
    yield from reasons(report.partial_because)
    if not explanation.suggestions:
        why = "inputs decide which tiles are full" if report.data_dependent else NO_SETTING
        yield f"  {why}"
    for choice in explanation.suggestions:
        yield f"  perfectly block-sparse with {_setting(explanation, choice)}:"
        yield f"    {times(choice.tile_speedup)}, {_change(choice)}"


def _setting(explanation: Explanation, choice: Choice) -> str:
    """What is different."""
    report, tiles = explanation.report, choice.tiles
    changed = {n: v for n, v in choice.parameters.items() if v != explanation.parameters[n]}
    parts = [f"{name}={spelled(elements)}" for name, elements in changed.items()]
    if (tiles.q_tile, tiles.kv_tile, tiles.q_step) != (report.q_tile, report.kv_tile, report.q_step):
        parts.append(f"q tile {box(tiles.q_tile, tiles.q_step)}, kv tile {box(tiles.kv_tile, tiles.kv_step)}")
    return ", ".join(parts)


def _change(choice: Choice) -> str:
    if choice.lost == choice.gained == 0:
        return "the mask stays the same"
    return f"loses {choice.lost:.1%} of the visible pairs, gains {choice.gained:.1%}"


def _factor(formula: str) -> str:
    return formula if formula.replace("_", "").isalnum() or formula.startswith("prod(") else f"({formula})"
