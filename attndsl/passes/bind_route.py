"""Bind of routes: numbers in place, one rule, and blocks that lie inside one another where they must."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from attndsl.diagnostics import AttnBindError
from attndsl.ir import intervals
from attndsl.ir.blocks import Blocks
from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import TRUE, Apply, Const, Expr, HeadDim, Side
from attndsl.ir.intervals import UNKNOWN_NUMBER, UNKNOWN_TRUTH, Value
from attndsl.ir.route import OF_PARTS, BlockIndex, Pool, Route, RouteNode, Rule
from attndsl.ir.units import count_of_units, unit_of_token
from attndsl.passes.bind_blocks import bind_blocks
from attndsl.passes.bind_expr import Numbers, bind_expr
from attndsl.passes.ranges import check_values, leaf_ranges
from attndsl.passes.route_grains import TOKEN, Grain, grains, in_contexts

MOST_CHANNELS = 2**16
"""Channels of a head are taken to be no more."""


def bind_route(route: Route, numbers: Numbers) -> Route:
    """The route with its numbers. numbers: those of the segments that it is about."""
    blocks = bind_blocks(route.blocks, numbers)
    bound = replace(
        route,
        score=bind_expr(route.score, numbers),
        among=bind_expr(route.among, numbers),
        prefer=bind_expr(route.prefer, numbers),
        always=bind_expr(route.always, numbers),
        rules=((TRUE, _rule(route, numbers)),),
        per=(route.per[int(numbers.scalars[route.choice].value) if route.choice else 0],),
        choice="",
        blocks=blocks,
    )
    for root in (bound.score, bound.among, bound.prefer, bound.always):
        _check_nesting(root, bound, numbers)
    return bound


def with_route(ir: BoundIR, route: Route | None, regions: Sequence[Numbers]) -> BoundIR:
    """The bound pattern with its route, which is about one pair of segments. regions: the numbers of each."""
    if route is None:
        return ir
    names = [name for name in (route.queries, route.keys) if name]
    axes = {axis for name in names for axis in route.block(name).axes}
    numbers = next(
        (each for each in regions if axes <= _axes(each, "q") and axes <= _axes(each, "k")), regions[0]
    )
    bound = bind_route(route, numbers)
    check_route_ranges(bound, ir, numbers)
    return replace(ir, route=bound)


def _axes(numbers: Numbers, side: Side) -> set[str]:
    return set(numbers.segments[side].axes)


def _rule(route: Route, numbers: Numbers) -> Rule:
    """The first rule whose condition holds; the last one where none does."""
    holding = (rule for condition, rule in route.rules if bind_expr(condition, numbers) is TRUE)
    rule = next(holding, route.rules[-1][1])
    arguments = tuple(bind_expr(each, numbers) for each in rule.arguments)
    for given, bound in zip(rule.arguments, arguments, strict=True):
        is_score = rule.name == "threshold" and given is rule.arguments[0]
        if isinstance(bound, Const) and bound.value < 0 and not is_score:
            raise AttnBindError(
                "A0440", f"`{rule.name}` cannot keep {bound.value} of anything",
                span=numbers.spans.get(given), help="choose numbers that make it 0 or more",
            )  # fmt: skip
    if rule.name in OF_PARTS and isinstance(arguments[0], Const) and arguments[0].value > 1:
        raise AttnBindError(
            "A0440", f"`{rule.name}` takes a part of all, and this is {arguments[0].value}",
            span=numbers.spans.get(rule.arguments[0]), help="choose a number from 0 to 1",
        )  # fmt: skip
    return Rule(rule.name, arguments)


def _check_nesting(root: Expr, route: Route, numbers: Numbers) -> None:
    """Blocks are numbered and pooled over tokens or blocks that lie inside them."""
    for node, context in in_contexts(root, Grain(route.queries, route.keys)):
        for inner, outer, side in _nestings(node, context):
            if not _lies_inside(route.block(inner) if inner else None, route.block(outer), side, numbers):
                raise AttnBindError(
                    "A0441", f"blocks `{inner}` do not lie inside blocks `{outer}`",
                    span=numbers.bound_spans.get(node) or route.span,
                    help=f"make the size of `{outer}` a multiple of the size of `{inner}`",
                )  # fmt: skip


def _nestings(node: Expr, context: Grain) -> Iterator[tuple[str, str, Side]]:
    """The blocks that must lie inside others, and on which side."""
    match node:
        case BlockIndex(side, outer):
            yield context.of(side) or TOKEN, outer, side
        case Pool(_, operand, outer, sides) if outer:
            inside = grains(operand, lambda _: None)[operand]
            yield from ((inner, outer, side) for side in sides if (inner := inside.of(side)) is not None)


def _lies_inside(inner: Blocks | None, outer: Blocks, side: Side, numbers: Numbers) -> bool:
    if inner is None or inner == outer:
        return True
    segment = numbers.segments[side]
    small, large = unit_of_token(inner, segment), unit_of_token(outer, segment)
    first = np.zeros(int(small.max(initial=0)) + 1, dtype=np.int64)
    first[small] = large
    return bool(np.array_equal(first[small], large))


def check_route_ranges(route: Route, ir: BoundIR, numbers: Numbers) -> None:
    """Raise AttnBindError A0412 or A0414 where a number of the route may not exist."""
    extents: dict[str, tuple[int, ...]] = {
        side: segment.extents for side, segment in numbers.segments.items()
    }
    known = leaf_ranges(extents, ir.heads)

    def leaf(node: Expr) -> Value:
        if isinstance(node, BlockIndex):
            count = count_of_units(route.block(node.blocks), numbers.segments[node.side])
            return intervals.between(*(np.asarray(each, dtype=object) for each in (0, max(count - 1, 0), 1)))
        if isinstance(node, HeadDim):
            return intervals.between(*(np.asarray(each, dtype=object) for each in (1, MOST_CHANNELS, 1)))
        if isinstance(node, RouteNode) and node.type == "bool":
            return UNKNOWN_TRUTH
        return UNKNOWN_NUMBER if isinstance(node, RouteNode) or node.type == "real" else known(node)

    roots = [route.score, route.among, route.prefer, route.always]
    ranges = intervals.evaluate_all(roots, leaf, unlimited=True)
    exact = {node: value for node, value in ranges.items() if not _is_data(node)}
    check_values(exact, ranges, ir, route.span)


def _is_data(node: Expr) -> bool:
    """Whether a value is made of vectors, whose range nobody knows: floating point knows no failure."""
    return isinstance(node, Apply) and any(
        isinstance(each, RouteNode) and not isinstance(each, BlockIndex) for each in node.mentioned
    )
