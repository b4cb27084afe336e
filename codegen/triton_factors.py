"""What a kernel computes of its residuals: their different factors, and which values in them have names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attndsl.codegen.levels import Level
from attndsl.codegen.ranges import Places
from attndsl.ir.expr import Const, Expr, Head, InputAt, Position
from attndsl.schedule.decide import conjuncts
from attndsl.schedule.schedule import Schedule

MOST_OPERATORS = 5
"""Longer expressions are cut into named parts, for readers."""


@dataclass(frozen=True)
class Factor:
    """A condition that some residuals ask for. places: the segments whose coordinates it is about."""

    predicate: Expr
    places: Places
    residuals: frozenset[int]


def factors(schedule: Schedule) -> tuple[Factor, ...]:
    """The different conditions of all residuals, most asked for first."""
    asked: dict[tuple[Expr, Places], set[int]] = {}
    residuals = zip(schedule.residuals, schedule.residual_regions, strict=True)
    for number, (residual, places) in enumerate(residuals, 1):
        for factor in conjuncts(residual):
            asked.setdefault((factor, places), set()).add(number)
    found = [Factor(predicate, places, frozenset(numbers)) for (predicate, places), numbers in asked.items()]
    return tuple(sorted(found, key=lambda factor: -len(factor.residuals)))


def choose_names(
    nodes: Sequence[Expr], roots: Sequence[Expr], levels: Mapping[Expr, Level], prefix: str
) -> dict[Expr, str]:
    """Names for inputs, for what another level reads or is used twice, and for parts of long expressions.

    nodes: in topological order.
    """
    uses: dict[Expr, list[Level]] = {node: [] for node in nodes}
    for node in nodes:
        for child in node.children:
            uses[child].append(levels[node])
    for root in roots:
        uses[root].append("pair")
    names: dict[Expr, str] = {}
    count = dict.fromkeys(("head", "query", "key", "pair"), 0)
    operators: dict[Expr, int] = {}
    for node in nodes:
        level = levels[node]
        crosses = any(other != level for other in uses[node])
        inner = sum(operators[child] for child in node.children if child not in names)
        operators[node] = inner + bool(node.children)
        wanted = bool(node.children) and (len(uses[node]) > 1 or operators[node] > MOST_OPERATORS)
        if isinstance(node, InputAt):
            names[node] = f"{node.name}_of_{'query' if node.side == 'q' else 'key'}"
        elif not isinstance(node, Const | Position | Head) and (crosses or (wanted and level != "head")):
            names[node] = f"{prefix}{level}_{count[level]}"
            count[level] += 1
    return names
