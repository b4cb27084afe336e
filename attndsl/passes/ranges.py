"""Range check at bind: proves that no integer of a mask overflows and that no operand leaves its domain.

Bounds come from the interval analysis over whole regions, so the proof may fail for an expression that is
fine in fact; the help then says how to write it so that it is plainly fine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from attndsl.diagnostics import AttnBindError
from attndsl.ir import intervals
from attndsl.ir.bound import BoundIR, input_sizes
from attndsl.ir.expr import Apply, Expr, Head, InputAt, InputElement, Position, Table, topological
from attndsl.ir.intervals import LIMIT, Leaf, Strided, Value
from attndsl.ir.route import InputVector
from attndsl.source import Span

INPUT_RANGE = 2**31
"""Integer inputs are taken to lie within 32 bits; the call checks it."""


def check_ranges(ir: BoundIR) -> None:
    """Raise AttnBindError A0412 where a value of the mask may not exist or not fit."""
    for region in ir.regions:
        query, key = ir.query_space.segments[region.query], ir.key_space.segments[region.key]
        if query.size and key.size:
            leaf = leaf_ranges({"q": query.extents, "k": key.extents}, ir.heads)
            roots = [region.visible, *region.terms]
            ranges = intervals.evaluate_all(roots, leaf, unlimited=True)
            check_values(ranges, ranges, ir, ir.spans.get(region.visible))


def check_indices(ir: BoundIR) -> None:
    """Raise AttnBindError A0414 where what combines branches reads a table outside of it."""
    leaf = leaf_ranges({}, ir.heads)
    for node in topological(ir.combine) if ir.combine is not None else ():
        if isinstance(node, Table):
            ranges = intervals.evaluate_all([node.index], leaf, unlimited=True)
            _check_index(node, node.index, len(node.values), ranges[node.index], ir)
        if isinstance(node, InputElement):
            for index, size in zip(node.indices, input_sizes(ir, node.name), strict=True):
                ranges = intervals.evaluate_all([index], leaf, unlimited=True)
                _check_index(node, index, size, ranges[index], ir)


def leaf_ranges(extents: dict[str, tuple[int, ...]], heads: int) -> Leaf:
    """The range of every leaf when queries and keys run over boxes from 0 to the extents."""

    def leaf(node: Expr) -> Value:
        match node:
            case Position(side, int(axis)):
                return intervals.between(_number(0), _number(extents[side][axis] - 1), _number(1))
            case Head():
                return intervals.between(_number(0), _number(heads - 1), _number(1))
            case InputAt(kind="int") | InputElement(kind="int"):
                return intervals.between(_number(-INPUT_RANGE), _number(INPUT_RANGE), _number(1))
            case InputAt(kind="real") | InputElement(kind="real"):
                return intervals.UNKNOWN_NUMBER
        return intervals.UNKNOWN_TRUTH

    return leaf


def _number(value: int) -> np.ndarray[tuple[int, ...], np.dtype[np.object_]]:
    return np.asarray(value, dtype=object)


def check_values(
    nodes: Iterable[Expr], ranges: Mapping[Expr, Value], ir: BoundIR, place: Span | None
) -> None:
    """Raise AttnBindError where one of the nodes may have no value. ranges: of all nodes below them."""
    for node in nodes:
        if isinstance(node, Table):
            _check_index(node, node.index, len(node.values), ranges[node.index], ir)
        if isinstance(node, InputElement):
            for index, size in zip(node.indices, input_sizes(ir, node.name), strict=True):
                _check_index(node, index, size, ranges[index], ir)
        if isinstance(node, InputVector):
            for index, size in zip(node.indices, input_sizes(ir, node.name)[:-1], strict=True):
                _check_index(node, index, size, ranges[index], ir)
        if not isinstance(node, Apply):
            continue
        problem = _problem(node, [ranges[arg] for arg in node.args], ranges[node])
        if problem:
            raise AttnBindError("A0412", problem[0], span=ir.spans.get(node) or place, help=problem[1])


def _check_index(
    node: Table | InputElement | InputVector, index: Expr, size: int, value: Value, ir: BoundIR
) -> None:
    assert isinstance(value, Strided)
    if value.lo.min() < 0 or value.hi.max() >= size:
        raise AttnBindError(
            "A0414",
            f"`{node.name}` has {size} elements, its index {_range(value)}",
            span=ir.spans.get(node) or ir.spans.get(index),
            help="indices start at 0" if isinstance(node, Table) else f"write `clamp(..., 0, {size - 1})`",
        )


def _problem(node: Apply, operands: list[Value], result: Value) -> tuple[str, str] | None:
    """What may go wrong in one operation and how to avoid it."""
    last = operands[-1]
    if node.op in ("div", "floordiv", "mod") and _may_be(last, 0, 0):
        return (
            f"this divides by a number that {_range(last)}",
            "write `max(x, 1)` for a divisor that is positive",
        )
    if node.op == "pow" and node.type == "int" and _may_be(last, -np.inf, -1):
        return (
            f"this exponent {_range(last)}, and an integer has no such power",
            "write `max(x, 0)`, or a real base such as `2.0`",
        )
    if node.op == "log2" and _may_be(last, -np.inf, 0):
        return f"this is the logarithm of a number that {_range(last)}", "write `log2(max(x, 1))`"
    if node.op == "sqrt" and _may_be(last, -np.inf, -1e-300):
        return f"this is the square root of a number that {_range(last)}", "write `sqrt(max(x, 0))`"
    if (
        node.op == "pow"
        and node.type == "real"
        and _may_be(operands[0], -np.inf, -1e-300)
        and not _whole(last)
    ):
        return "a negative number has no real power", "use a base that is not negative"
    if (
        isinstance(result, Strided)
        and node.type == "int"
        and max(abs(result.lo.min()), abs(result.hi.max())) > LIMIT
    ):
        return (
            f"this integer {_range(result)}, which does not fit into 64 bits",
            "use smaller numbers, or `real(x)`",
        )
    return None


def _may_be(value: Value, low: float, high: float) -> bool:
    """Whether some member may lie between low and high; a set may avoid 0 by its stride."""
    assert isinstance(value, Strided)
    if low == high == 0 and value.stride is not None and np.all(value.stride > 1):
        return bool(np.any((value.lo <= 0) & (value.hi >= 0) & (value.lo % np.maximum(value.stride, 1) == 0)))
    return bool(np.any((value.lo <= high) & (value.hi >= low)))


def _whole(value: Value) -> bool:
    assert isinstance(value, Strided)
    return bool(np.all(value.lo == value.hi) and np.all(value.lo == np.floor(value.lo.astype(float))))


def _range(value: Value) -> str:
    assert isinstance(value, Strided)
    low, high = value.lo.min(), value.hi.max()
    return f"is {_shorten(low)}" if low == high else f"may run from {_shorten(low)} to {_shorten(high)}"


def _shorten(value: float) -> str:
    """The number, or its sign and power of ten when it is long."""
    if abs(value) < 10**20 or math.isinf(value):
        return str(value)
    return f"about {'-' if value < 0 else ''}10**{math.floor(math.log10(abs(value)))}"
