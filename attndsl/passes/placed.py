"""Placed patterns: the tokens' positions are data, so that one kernel serves any queries and any keys.

A cache of keys grows with every token that is generated, and a batch may hold texts of different lengths. The
placed form of a bound pattern asks where each query and each key stands in the pattern's space: they are the
declared inputs `query_position` and `key_position`, where -1 stands for a token that does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

from attndsl.diagnostics import AttnUnsupportedError
from attndsl.ir.bound import BoundIR, InputDeclaration, Region, Segment, Space
from attndsl.ir.expr import (
    FALSE,
    PRODUCT,
    TRUE,
    Apply,
    Const,
    Expr,
    InputAt,
    InputElement,
    Position,
    Side,
    topological,
)
from attndsl.ir.pattern import Input, Weighting
from attndsl.passes.rewrite import substitute
from attndsl.passes.simplify import simplify, simplify_node

SIDES: dict[Side, str] = {"q": "query", "k": "key"}


def placed(ir: BoundIR, queries: int, keys: int) -> BoundIR:
    """The pattern for so many queries and keys anywhere in its space. A declared input is one per side.

    Raises AttnUnsupportedError A0905 for patterns whose parts cannot be merged, or read inputs by index.
    """
    _refuse_weighting(ir)
    return placed_pairs(ir, queries, keys)


def placed_pairs(ir: BoundIR, queries: int, keys: int, longest: int = 0) -> BoundIR:
    """The same for any weights of pairs. Inputs of several dimensions are read as before, at positions.

    longest: a length that no axis exceeds, for kernels that know nothing of the length of a single one.
    """
    visible: Expr = FALSE
    terms: list[Expr] = []
    for region in ir.regions:
        query, key = ir.query_space.segments[region.query], ir.key_space.segments[region.key]
        inside = _and(_inside("q", query, ir.query_space), _inside("k", key, ir.key_space))
        values = _coordinates("q", query, ir.query_space, longest)
        values |= _coordinates("k", key, ir.key_space, longest)
        visible = _or(visible, _and(inside, _at(region.visible, values)))
        here = [_at(term, values) for term in region.terms]
        terms = [_apply("select", inside, *pair) for pair in zip(here, terms or here, strict=True)]
    exists = _and(*(Apply("ge", (_position(side), Const(0))) for side in SIDES))
    return replace(
        ir,
        query_space=one_axis("queries", queries),
        key_space=one_axis("keys", keys),
        regions=(Region(0, 0, _and(visible, exists), ir.regions[0].span, tuple(terms)),),
        inputs=(
            *(InputDeclaration(f"{name}_position", "int", (name,)) for name in SIDES.values()),
            *(part for each in ir.inputs for part in _declared(each)),
        ),
    )


def _refuse_weighting(ir: BoundIR) -> None:
    nodes = {node for region in ir.regions for term in region.terms for node in term.mentioned}
    by_index = any(isinstance(node, InputElement) for node in nodes)
    if by_index or ir.low_rank or replace(ir.weighting, score=PRODUCT) != Weighting():
        raise AttnUnsupportedError(
            "A0905", f"rows of `{ir.name}` are not compiled yet: it has a weight, a sink, a gate or a table",
            help="call the bound pattern with the queries of all tokens",
        )  # fmt: skip


def _at(root: Expr, values: Mapping[Expr, Expr]) -> Expr:
    """An expression of a region, with coordinates from positions and each input from its side."""
    inputs: dict[Expr, Expr] = {
        node: _of_side(node) for node in topological(root) if isinstance(node, InputAt)
    }
    return simplify(substitute(root, {**values, **inputs}))


def input_names(declared: Input | InputDeclaration) -> dict[Side, str]:
    """What a declared input is called on each side that reads it."""
    return {
        side: f"{declared.name}_of_{name}"
        for side, name in SIDES.items()
        if declared.shape == ("tokens",) or name in declared.shape
    }


def _declared(each: InputDeclaration) -> list[InputDeclaration]:
    if len(each.shape) > 1:
        return [each]
    return [InputDeclaration(name, each.kind, (SIDES[side],)) for side, name in input_names(each).items()]


def _of_side(node: InputAt) -> InputAt:
    return InputAt(f"{node.name}_of_{SIDES[node.side]}", node.side, node.kind)


def one_axis(name: str, tokens: int) -> Space:
    """A space of so many tokens in a row."""
    return Space((Segment(name, ("row",), (tokens,), 0),))


def _position(side: Side) -> Expr:
    """Where the token stands in the whole space, or -1."""
    return InputAt(f"{SIDES[side]}_position", side, "int")


def _inside(side: Side, segment: Segment, space: Space) -> Expr:
    """Whether the token lies in a segment."""
    if len(space.segments) == 1:
        return TRUE
    position, end = _position(side), segment.offset + segment.size
    return _and(
        Apply("ge", (position, Const(segment.offset))),
        Apply("lt", (position, Const(end))),
    )


def _coordinates(side: Side, segment: Segment, space: Space, longest: int) -> dict[Expr, Expr]:
    """Every coordinate in terms of the position, kept inside the segment for the proof of ranges."""
    alone = len(space.segments) == len(segment.axes) == 1
    last = max((longest if alone and longest else segment.size) - 1, 0)
    place = _apply("sub", _position(side), Const(segment.offset))
    place = _apply("max", _apply("min", place, Const(last)), Const(0))
    found: dict[Expr, Expr] = {}
    for axis, extent in enumerate(segment.extents):
        inner = max(prod(segment.extents[axis + 1 :]), 1)
        block = _apply("floordiv", place, Const(inner))
        found[Position(side, axis)] = block if axis == 0 else _apply("mod", block, Const(max(extent, 1)))
    return found


def _apply(op: str, *args: Expr) -> Expr:
    return simplify_node(Apply(op, args))


def _and(first: Expr, second: Expr) -> Expr:
    return _apply("and", first, second)


def _or(first: Expr, second: Expr) -> Expr:
    return _apply("or", first, second)
