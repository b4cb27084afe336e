"""Readable text of routes, in the language's spelling."""

from __future__ import annotations

from collections.abc import Callable

from attndsl.ir.expr import FALSE, TRUE, Expr
from attndsl.ir.factors import LogOfFactor
from attndsl.ir.head_choice import SoftmaxOfHeads, TopOfHeads
from attndsl.ir.route import (
    BlockIndex,
    Dot,
    InputVector,
    OverHeads,
    Pool,
    Route,
    RouteNode,
    Rule,
    ScaleFactor,
    Softmax,
    Vectors,
)
from attndsl.ir.route_groups import Mix, PoolAlike, PoolWhere, TopAlike

Print = Callable[[Expr, int], str]
"""The text of an expression, in parentheses where it binds less tightly than a strength."""

PRODUCT, ATOM = 7, 10
"""Strengths, as in `ir.text.PRECEDENCE`."""


def route_node(node: RouteNode, print_: Print) -> tuple[int, str]:
    """The strength and text of a node that only routes have."""
    match node:
        case Vectors(name):
            return ATOM, name
        case ScaleFactor():
            return ATOM, "scale"
        case InputVector(name, indices):
            return ATOM, f"{name}[{', '.join(print_(index, 0) for index in indices)}]"
        case BlockIndex(side, blocks):
            return ATOM, f"{side}.{blocks}"
        case Dot(left, right) | Mix(left, right):
            return PRODUCT, f"{print_(left, PRODUCT)} . {print_(right, PRODUCT + 1)}"
        case Softmax(operand, condition):
            second = "" if condition is TRUE else f", {print_(condition, 0)}"
            return ATOM, f"softmax({print_(operand, 0)}{second})"
        case SoftmaxOfHeads(operand, condition):
            second = "" if condition is TRUE else f", {print_(condition, 0)}"
            return ATOM, f"softmax({print_(operand, 0)} in heads{second})"
        case TopOfHeads(operand, count, condition):
            third = "" if condition is TRUE else f", {print_(condition, 0)}"
            return ATOM, f"top({print_(operand, 0)} in heads, {print_(count, 0)}{third})"
        case TopAlike(operand, group, count):
            return ATOM, f"top({print_(operand, 0)} in {print_(group, 0)}, {print_(count, 0)})"
        case PoolWhere(kind, operand, group) | PoolAlike(kind, operand, group):
            return ATOM, f"{kind}({print_(operand, 0)} in {print_(group, 0)})"
        case OverHeads(kind, operand, group):
            return ATOM, f"{kind}({print_(operand, 0)} in {group})"
        case Pool(kind, operand, blocks, sides):
            place = f"{sides[0]}.{blocks}" if len(sides) == 1 else blocks
            return ATOM, f"{kind}({print_(operand, 0)}{f' in {place}' if blocks else ''})"
        case LogOfFactor(factor):
            return ATOM, f"log({print_(factor, 0)})"
    raise TypeError(f"no text for {type(node).__name__}")


def route_lines(
    route: Route, expression: Callable[[Expr], str], members: str = "", groups: str = ""
) -> list[str]:
    """The phrases of a route, one a line. members, groups: of a route of groups what columns and rows are."""
    first = f"route {members}{' ' * bool(members)}"
    lines = [f"{first}score {expression(route.score)}"]
    if route.among is not TRUE:
        lines.append(f"among {expression(route.among)}")
    rows = {"query": groups or route.queries or "query", "head": "head", "all": "all"}
    lines.append(f"select {_rules(route, expression)} per {route.choice or rows[route.per[0]]}")
    for word, condition in (("prefer", route.prefer), ("always", route.always)):
        if condition is not FALSE:
            lines.append(f"{word} {expression(condition)}")
    return [lines[0], *(" " * len(first) + line for line in lines[1:])]


def _rules(route: Route, expression: Callable[[Expr], str]) -> str:
    *others, (_, last) = route.rules
    chosen = (f"{_rule(rule, expression)} if {expression(condition)} else " for condition, rule in others)
    return "".join(chosen) + _rule(last, expression)


def _rule(rule: Rule, expression: Callable[[Expr], str]) -> str:
    return f"{rule.name}({', '.join(map(expression, rule.arguments))})"
