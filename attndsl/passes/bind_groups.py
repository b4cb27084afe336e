"""Bind of groups: the maps of groups and tokens become bound patterns, whose routes choose members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from attndsl.diagnostics import AttnBindError
from attndsl.ir.bound import BoundIR, LinearForm, Region, Segment, Space
from attndsl.ir.expr import TRUE, Const, Side
from attndsl.ir.groups import MEMBERS, SIDES, Groups, Members, swapped
from attndsl.ir.pattern import Weighting
from attndsl.ir.route import Route, Rule
from attndsl.passes.bind_expr import Numbers, bind_expr
from attndsl.passes.bind_route import bind_route, check_route_ranges
from attndsl.passes.rewrite import rewrite


def with_groups(ir: BoundIR, groups: Groups | None, regions: Sequence[Numbers]) -> BoundIR:
    """The bound pattern with the maps of its groups. regions: the numbers of each pair of segments."""
    if groups is None:
        return ir
    count = int(cast(Const, bind_expr(groups.count, regions[0])).value)
    if count < 1:
        raise AttnBindError(
            "A0442", f"there are {count} groups", span=regions[0].spans.get(groups.count) or groups.span,
            help="choose numbers that make it 1 or more",
        )  # fmt: skip
    space = Space((Segment(groups.name, (groups.name,), (count,), 0),))
    maps = tuple(_map(ir, groups, members, space, regions) for members in MEMBERS)
    tiles = LinearForm("tiles", obstacle="its groups attend among themselves", span=groups.span)
    return replace(ir, groups=maps, linear=ir.linear and tiles)


def _map(ir: BoundIR, groups: Groups, members: Members, rows: Space, regions: Sequence[Numbers]) -> BoundIR:
    """The map whose rows are groups, and whose columns are queries or keys."""
    columns = ir.query_space if members == "queries" else ir.key_space
    route, spans = groups.routes[members], dict(regions[0].spans)
    if SIDES[members] == "q":
        nodes = {node for root in route.expressions for node in root.mentioned if node in spans}
        spans |= {rewrite(node, swapped): spans[node] for node in nodes}
        route = oriented(route)
    axes = {axis for each in route.blocks if each.name == route.keys for axis in each.axes}
    numbers = next(each for each in regions if axes <= set(each.segments[SIDES[members]].axes))
    segments: dict[Side, Segment] = {"q": rows.segments[0], "k": numbers.segments[SIDES[members]]}
    extents = {**numbers.extents, groups.name: rows.size}
    numbers = replace(numbers, segments=segments, extents=extents, spans=spans)
    found = replace(
        ir, query_space=rows, key_space=columns, branch=members, members=members,
        regions=tuple(Region(0, number, TRUE) for number in range(len(columns.segments))),
        weighting=Weighting(), low_rank=(), computed=(), linear=None, route=bind_route(route, numbers),
    )  # fmt: skip
    assert found.route is not None
    check_route_ranges(found.route, found, numbers)
    return found


def oriented(route: Route) -> Route:
    """The same route with its sides exchanged: rows become columns."""
    rules = tuple(
        (condition, Rule(rule.name, tuple(rewrite(each, swapped) for each in rule.arguments)))
        for condition, rule in route.rules
    )
    return replace(
        route, queries=route.keys, keys=route.queries, score=rewrite(route.score, swapped),
        among=rewrite(route.among, swapped), prefer=rewrite(route.prefer, swapped),
        always=rewrite(route.always, swapped), rules=rules,
    )  # fmt: skip
