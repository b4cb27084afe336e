"""Binding of expressions: parameters, extents and quantifiers become numbers; the result is simplified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from attndsl.diagnostics import AttnBindError
from attndsl.ir.bound import Segment
from attndsl.ir.expr import (
    Apply,
    AxisVariable,
    Const,
    Element,
    Expr,
    Extent,
    FlatIndex,
    Head,
    Position,
    Quantified,
    Side,
    Symbol,
    Table,
    topological,
)
from attndsl.passes.rewrite import rebuild
from attndsl.passes.simplify import ImpossibleValueError, simplify_node
from attndsl.source import Span

QUERY_HEADS_PER_KV_HEAD = "heads / kv_heads"
"""A name that no text can spell."""


@dataclass(frozen=True)
class Numbers:
    """Everything bind knows: values of parameters, extents, the axes that quantifiers run over."""

    scalars: Mapping[str, Const]
    arrays: Mapping[str, tuple[Const, ...]]
    extents: Mapping[str, int]
    main_axes: tuple[str, ...]
    axes: tuple[str, ...]
    axis_extents: tuple[int, ...]
    segments: Mapping[Side, Segment]
    spans: Mapping[Expr, Span]
    bound_spans: dict[Expr, Span] = field(default_factory=dict)
    variables: Mapping[AxisVariable, int] = field(default_factory=dict)


def bind_expr(root: Expr, numbers: Numbers) -> Expr:
    """The expression with all numbers in place. Raises AttnBindError A0411 where arithmetic goes wrong."""
    done: dict[Expr, Expr] = {}
    for node in _outside_quantifiers(root):
        try:
            done[node] = simplify_node(_replace(node, done, numbers))
        except ImpossibleValueError as mistake:
            raise AttnBindError(
                "A0411",
                f"this has no value with the numbers given: {mistake.problem}",
                span=numbers.spans.get(node),
                help="choose other numbers, or guard it, for example with `max(x, 1)` or `min(x, 62)`",
            ) from None
        if node in numbers.spans and not isinstance(done[node], Const):
            numbers.bound_spans.setdefault(done[node], numbers.spans[node])
    return done[root]


def _outside_quantifiers(root: Expr) -> list[Expr]:
    """Nodes in dependency order, without the bodies of quantifiers (those are bound once per axis)."""
    bodies = {node.body for node in topological(root) if isinstance(node, Quantified)}
    if not bodies:
        return list(topological(root))
    order: list[Expr] = []
    seen: set[Expr] = set()
    stack = [(root, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            if not isinstance(node, Quantified):
                stack.extend((child, False) for child in node.children)
    return order


def _replace(node: Expr, done: Mapping[Expr, Expr], numbers: Numbers) -> Expr:
    match node:
        case Quantified():
            return _expand(node, numbers)
        case Symbol(name):
            return (
                Apply("floordiv", (Head(), numbers.scalars[QUERY_HEADS_PER_KV_HEAD]))
                if name == "kv_head"
                else numbers.scalars[name]
            )
        case Extent(axis):
            return Const(_extent(axis, numbers))
        case AxisVariable():
            return Const(_axis(node, numbers))
        case Position(side, axis) if not isinstance(axis, int):
            return Position(side, _coordinate(side, axis, numbers))
        case FlatIndex(side):
            return flat_index(side, numbers.segments[side])
        case Element(name, _, _):
            return _element(node, done[node.index], numbers.arrays[name], numbers)
    return rebuild(node, tuple(done[child] for child in node.children))


def _expand(node: Quantified, numbers: Numbers) -> Expr:
    """The body once per axis, joined by `and` or `or`."""
    op = "and" if node.kind == "all" else "or"
    result: Expr = Const(node.kind == "all")
    for axis in range(len(numbers.axes)):
        inner = replace(numbers, variables={**numbers.variables, node.variable: axis})
        result = simplify_node(Apply(op, (result, bind_expr(node.body, inner))))
    return result


def _axis(variable: AxisVariable, numbers: Numbers) -> int:
    if variable in numbers.variables:
        return numbers.variables[variable]
    return numbers.main_axes.index(variable.name)


def _extent(axis: str | AxisVariable, numbers: Numbers) -> int:
    if isinstance(axis, AxisVariable):
        return numbers.axis_extents[_axis(axis, numbers)]
    return numbers.extents[axis]


def _coordinate(side: Side, axis: str | AxisVariable, numbers: Numbers) -> int:
    segment = numbers.segments[side]
    if isinstance(axis, str):
        return segment.axes.index(axis)
    number = _axis(axis, numbers)
    if number >= len(segment.axes):
        raise AttnBindError(
            "A0413",
            f"`axis` runs over {len(numbers.axes)} axes, segment `{segment.name}` has {len(segment.axes)}",
            span=numbers.spans.get(Position(side, axis)),
            help="write an arm of its own for this pair of segments",
        )
    return number


def flat_index(side: Side, segment: Segment) -> Expr:
    """The position in the whole space from the coordinates in a segment."""
    result: Expr = Const(0)
    for axis, extent in enumerate(segment.extents):
        scaled = simplify_node(Apply("mul", (result, Const(extent))))
        result = simplify_node(Apply("add", (scaled, Position(side, axis))))
    return simplify_node(Apply("add", (result, Const(segment.offset))))


def _element(node: Element, index: Expr, values: tuple[Const, ...], numbers: Numbers) -> Expr:
    if not isinstance(index, Const):
        return Table(node.name, tuple(each.value for each in values), index)
    if not 0 <= int(index.value) < len(values):
        raise AttnBindError(
            "A0414",
            f"`{node.name}` has {len(values)} elements, index {index.value} is outside",
            span=numbers.spans.get(node),
            help="indices start at 0",
        )
    return values[int(index.value)]
