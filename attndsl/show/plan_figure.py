"""The picture of a plan: the static mask, and beside it what some heads list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import matplotlib
from matplotlib.figure import Figure

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR
from attndsl.ir.plan import Plan
from attndsl.ir.plan_checks import check_units, checked_plan, kinds_of, plans_by_name, routed_branches
from attndsl.ir.plan_summary import headline
from attndsl.show import palette
from attndsl.show.figure import BETWEEN, BOTTOM, LEFT, RIGHT, SIDE, TOP
from attndsl.show.legend import Entry, draw_entries
from attndsl.show.page import text
from attndsl.show.panel import Box
from attndsl.show.plan_panel import (
    COLOURS,
    PLAIN_COLOURS,
    PlanPanel,
    branch_cells,
    plan_cells,
    static_cells,
    static_map,
)

MOST_HEADS = 4


def draw_plan(ir: BoundIR, given: Plan | Mapping[str, Plan], head: int = 0, batch: int = 0) -> Figure:
    """The picture of a plan of a bound pattern; of several branches, or of groups, each has a colour.

    head: the first of at most four heads that are drawn. batch: which element of a batch. Raises
    AttnCallError A0690 to A0696 for plans that do not fit.
    """
    routed, plans = routed_branches(ir), plans_by_name(ir, given)
    for name, plan in plans.items():
        check_units(routed[name], checked_plan(routed[name], plan, None, ir.heads))
        plans[name] = replace(plan, kinds=kinds_of(routed[name]))
    panels = _panels(ir, routed, plans, head, batch)
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **palette.STYLE}):
        page = LEFT + SIDE * len(panels) + BETWEEN * (len(panels) - 1) + RIGHT
        figure = Figure(figsize=(page, TOP + SIDE + BOTTOM), facecolor="white")
        for number, panel in enumerate(panels):
            left = LEFT + number * (SIDE + BETWEEN)
            panel.draw(figure, Box(left, BOTTOM, SIDE, SIDE))
            text(figure, left, BOTTOM + SIDE + 0.1, panel.title, fontsize=8.5, fontweight="bold")
        top = TOP + SIDE + BOTTOM
        text(figure, LEFT, top - 0.33, f"{ir.name}: plan", fontsize=12, fontweight="bold")
        for number, words in enumerate(headlines(plans)):
            style = {"fontsize": 8, "color": palette.FAINT}
            text(figure, LEFT, top - 0.52 - 0.15 * number, words, **style)
        draw_entries(figure, entries(panels if ir.groups else panels[1:]), LEFT)
    return figure


def _panels(
    ir: BoundIR, routed: Mapping[str, BoundIR], plans: Mapping[str, Plan], head: int, batch: int
) -> list[PlanPanel]:
    same = len({(each.query_units, each.key_units) for each in plans.values()}) == 1
    if not same:
        raise AttnCallError(
            "A0697", f"the plans of `{ir.name}` have other units in each branch, for one picture",
            help="draw one branch at a time, on the command line by --branch",
        )  # fmt: skip
    name, plan = next(iter(plans.items()))
    row, column = plan.kinds if len(plans) == 1 or not ir.groups else ("group", "token")
    units = _unit(plan.q_block, row, "block of queries"), _unit(plan.kv_block, column, f"block of {column}s")
    panels = []
    if not ir.groups:  # whose masks are between members
        static = static_cells(static_map(routed[name], head), COLOURS if len(plans) == 1 else PLAIN_COLOURS)
        panels.append(PlanPanel("Static mask", static, units))
    for each in shown_heads(ir.heads, plans.values(), head):
        own = {branch: each * plan.heads // ir.heads for branch, plan in plans.items()}
        if len(plans) == 1:
            cells = plan_cells(plan, static_map(routed[name], each), batch, own[name])
        else:
            cells = branch_cells(plans, batch, own)
        panels.append(PlanPanel(f"Head {each}", cells, units))
    return panels


def shown_heads(heads: int, plans: Iterable[Plan], first: int) -> list[int]:
    """Heads with lists of their own from `first` on, four at most."""
    step = heads // max(plan.heads for plan in plans)
    own = [head for head in range(first, heads) if head == first or head % step == 0]
    return own[:MOST_HEADS]


def headlines(plans: Mapping[str, Plan]) -> list[str]:
    """What plans keep, one line each."""
    return [f"{name}: {headline(each, each.heads)}".removeprefix(": ") for name, each in plans.items()]


def entries(heads: Sequence[PlanPanel]) -> list[Entry]:
    """The legend: classes of pairs of units, with counts over the heads that are drawn."""
    total = sum(panel.cells.rows * panel.cells.columns for panel in heads)
    counts = {name: sum(panel.cells.count(name) for panel in heads) for name in heads[0].cells.classes}
    colours = heads[0].cells.colours
    found = [
        Entry((colours[name],), f"{name}  {count:,} ({100 * count / max(total, 1):.3g} %)")
        for name, count in counts.items()
        if count
    ]
    rest = total - sum(panel.cells.listed for panel in heads)
    return [*found, Entry((palette.SKIPPED,), f"not listed  {rest:,} ({100 * rest / max(total, 1):.3g} %)")]


def _unit(block: int, one: str, many: str) -> str:
    return one if block == 1 else many
