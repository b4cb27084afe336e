"""Which values the parts of a residual predicate can take, over the whole space: what decides the width of integers."""

from __future__ import annotations

import numpy as np

from attndsl.ir.bound import BoundIR, Space
from attndsl.ir.expr import Expr, Head, InputAt, Position
from attndsl.ir.intervals import UNKNOWN_NUMBER, UNKNOWN_TRUTH, Value, between, evaluate_all


def node_ranges(ir: BoundIR, root: Expr) -> dict[Expr, Value]:
    """The range of every node below `root`, with unlimited integers, wherever in the space the predicate is used."""

    def leaf(node: Expr) -> Value:
        match node:
            case Position(side, int(axis)):
                return _whole(_largest_extent(ir.query_space if side == "q" else ir.key_space, axis))
            case Head():
                return _whole(ir.heads)
            case InputAt(_, _, kind):
                return UNKNOWN_TRUTH if kind == "bool" else UNKNOWN_NUMBER
        raise TypeError(f"{type(node).__name__} does not belong into bound IR")

    return evaluate_all([root], leaf, unlimited=True)


def _largest_extent(space: Space, axis: int) -> int:
    return max(segment.extents[axis] for segment in space.segments if axis < len(segment.extents))


def _whole(extent: int) -> Value:
    return between(np.asarray(0, object), np.asarray(max(extent - 1, 0), object))
