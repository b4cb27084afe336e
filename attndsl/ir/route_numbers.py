"""What the text of a route says before there is data: its units, its conditions, its heads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import BoundIR, Segment
from attndsl.ir.evaluate import evaluate
from attndsl.ir.expr import FALSE, TRUE, Const, Expr, Head, Position, Side, topological
from attndsl.ir.route import BlockIndex, OverHeads, Route, Vectors
from attndsl.ir.route_units import routed_segment
from attndsl.ir.units import count_of_units, unit_of_token

Array = NDArray[Any]


class OfDataError(Exception):
    """An expression depends on the data."""


@dataclass(frozen=True, eq=False)
class Units:
    """The units of one side of a route, in the segment that it is about. name: of blocks, '' for tokens."""

    route: Route
    segment: Segment
    name: str

    @cached_property
    def count(self) -> int:
        """How many there are."""
        return count_of_units(self.route.block(self.name) if self.name else None, self.segment)

    @cached_property
    def of_token(self) -> Array:
        """The unit of each token of the segment."""
        return unit_of_token(self.route.block(self.name) if self.name else None, self.segment)

    @cached_property
    def first(self) -> Array:
        """A token of each unit: its first one."""
        first: Array = np.unique(self.of_token, return_index=True)[1]
        return first

    def blocks(self, name: str) -> Array:
        """The block in which each unit lies."""
        return unit_of_token(self.route.block(name), self.segment)[self.first]

    def coordinate(self, axis: int) -> Array:
        """The coordinate of each unit's first token."""
        at: Array = np.unravel_index(self.first, self.segment.extents)[axis]
        return at

    @cached_property
    def places(self) -> Array:
        """Where each unit's first token lies on each axis, as a part of its extent: [units, axes]."""
        at = np.stack(np.unravel_index(self.first, self.segment.extents), axis=1)
        return np.asarray(at / np.array(self.segment.extents))


def units_of(ir: BoundIR, side: Side) -> Units:
    """The units of one side of a bound pattern's route."""
    assert ir.route is not None, "callers ask for the units of routed patterns"
    name = ir.route.queries if side == "q" else ir.route.keys
    space = ir.query_space if side == "q" else ir.key_space
    return Units(ir.route, routed_segment(ir.route, space, name), name)


def condition(root: Expr, queries: Units, keys: Units, rows: Array) -> Array | None:
    """Where a condition holds, bool, broadcasts to [rows, key units]; None where it depends on the data."""
    if root in (TRUE, FALSE):
        return np.full((1, 1), root is TRUE)

    def leaf(node: Expr) -> Any:
        match node:
            case BlockIndex("q", name):
                return queries.blocks(name)[rows][:, None]
            case BlockIndex("k", name):
                return keys.blocks(name)[None, :]
            case Position("q", int(axis)):
                return queries.coordinate(axis)[rows][:, None]
            case Position("k", int(axis)):
                return keys.coordinate(axis)[None, :]
        raise OfDataError

    try:
        return np.atleast_2d(np.asarray(evaluate(root, leaf), dtype=bool))
    except OfDataError:
        return None


def number(root: Expr) -> float | None:
    """A number of a rule; None where it is not one for all heads."""
    return float(root.value) if isinstance(root, Const) else None


def list_heads(ir: BoundIR) -> int:
    """How many heads have lists of their own: all, one per key/value head, or one for all."""
    assert ir.route is not None
    roots = (ir.route.score, ir.route.among, ir.route.prefer, ir.route.always)
    return max(heads_of(root, ir) for root in roots)


def heads_of(root: Expr, ir: BoundIR) -> int:
    """How many heads an expression of a route has values for."""
    found: dict[Expr, int] = {}
    for node in topological(root):
        match node:
            case Vectors(name):
                found[node] = ir.heads if name == "q" else ir.kv_heads
            case Head():
                found[node] = ir.heads
            case OverHeads(_, _, group):
                found[node] = 1 if group == "heads" else ir.kv_heads
            case _:
                found[node] = max((found[child] for child in node.children), default=1)
    return found[root]


def ranks_by_query(ir: BoundIR) -> bool:
    """Whether queries score keys differently; otherwise all rank them alike."""
    assert ir.route is not None
    return any(
        (isinstance(node, Vectors) and node.name == "q") or getattr(node, "side", None) == "q"
        for node in ir.route.score.mentioned
    )
