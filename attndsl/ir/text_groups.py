"""Readable text of groups and their routes, in the language's spelling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import Expr, InputAt, Position
from attndsl.ir.groups import MEMBERS, OTHER, SIDES, Groups, Members
from attndsl.ir.route import BlockIndex, Route, Vectors
from attndsl.ir.text_route import route_lines


class Print(Protocol):
    """The text of an expression. names: texts for nodes that are called otherwise."""

    def __call__(self, expr: Expr, *, names: Mapping[Expr, str]) -> str:
        """See the class."""


def group_lines(groups: Groups, print_: Print) -> list[str]:
    """The clause and the routes of groups, before bind."""
    lines = [f"groups {groups.name} of {print_(groups.count, names={})}"]
    for members, route in groups.routes.items():
        names: dict[Expr, str] = {Position(OTHER[SIDES[members]], groups.name): groups.name}
        lines += _lines(route, print_, names, members, groups.name)
    return lines


def bound_group_lines(maps: Sequence[BoundIR], print_: Print) -> list[str]:
    """The same after bind, where groups are the queries of maps, and members their keys."""
    lines: list[str] = []
    for members, each in zip(MEMBERS, maps, strict=True):
        (rows,) = each.query_space.segments
        assert each.route is not None, "the maps of groups have routes"
        lines += [] if lines else [f"groups {rows.name} of {rows.size}"]
        names = dict(_names(each.route, members)) | {Position("q", 0): rows.name}
        lines += _lines(each.route, print_, names, members, rows.name)
    return lines


def _lines(
    route: Route, print_: Print, names: Mapping[Expr, str], members: Members, groups: str
) -> list[str]:
    return route_lines(route, lambda expr: print_(expr, names=names), members, groups)


def _names(route: Route, members: Members) -> Iterator[tuple[Expr, str]]:
    """What the text calls the nodes of a bound route that speak of members."""
    side = SIDES[members]
    for node in {node for root in route.expressions for node in root.mentioned}:
        match node:
            case Vectors("k"):
                yield node, side
            case BlockIndex("k", blocks):
                yield node, f"{side}.{blocks}"
            case Position("k", int(axis)):
                yield node, f"{side}.axis{axis}"
            case InputAt(name, "k"):
                yield node, f"{name}[{side}]"
