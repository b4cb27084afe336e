"""Which values the parts of a residual predicate can take: what decides the width of integers."""

from __future__ import annotations

import numpy as np

from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import Expr, Head, InputAt, InputElement, Position
from attndsl.ir.intervals import UNKNOWN_NUMBER, UNKNOWN_TRUTH, Value, between, evaluate_all

Places = tuple[int, int] | None
"""The query and key segment of a predicate; None for one that mentions no coordinate."""


def node_ranges(ir: BoundIR, root: Expr, places: Places) -> dict[Expr, Value]:
    """The range of every node below `root`, with unlimited integers."""

    def leaf(node: Expr) -> Value:
        match node:
            case Position(side, int(axis)) if places:
                space, segment = (ir.query_space, places[0]) if side == "q" else (ir.key_space, places[1])
                return _below(space.segments[segment].extents[axis])
            case Head():
                return _below(ir.heads)
            case InputAt(kind=kind) | InputElement(kind=kind):
                return UNKNOWN_TRUTH if kind == "bool" else UNKNOWN_NUMBER
        raise TypeError(f"{type(node).__name__} does not belong into bound IR")

    return evaluate_all([root], leaf, unlimited=True)


def _below(extent: int) -> Value:
    return between(np.asarray(0, object), np.asarray(max(extent - 1, 0), object))
