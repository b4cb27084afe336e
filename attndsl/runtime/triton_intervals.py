"""Interval analysis in torch of conditions on tokens: what the values in tiles leave open.

It runs where the tensors are, so that block maps can be refined at a call without waiting for the device. It
knows fewer operators than `ir/intervals.py`; what it does not know may be anything, which is always right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from attndsl.ir.expr import Apply, Const, Expr, InputAt, Position, topological


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`."""

    low: Tensor
    high: Tensor


@dataclass(frozen=True)
class Truth:
    """A truth value of which only some of (true, false) may be possible."""

    may_hold: Tensor
    may_fail: Tensor


Value = Range | Truth | None
"""None stands for anything."""


Leaf = Callable[[InputAt | Position], Value]
"""The values of an input, or of a coordinate, in the tiles of its side."""


def truth(root: Expr, leaf: Leaf) -> Truth | None:
    """Whether a condition may hold and may fail; None where nothing is known."""
    values: dict[Expr, Value] = {}
    for node in topological(root):
        values[node] = _value(node, values, leaf)
    value = values[root]
    return value if isinstance(value, Truth) else None


def _value(node: Expr, values: Mapping[Expr, Value], leaf: Leaf) -> Value:
    match node:
        case InputAt() | Position():
            return leaf(node)
        case Const(bool(value)):
            return Truth(torch.tensor(value), torch.tensor(not value))
        case Const(value):
            return Range(torch.tensor(value), torch.tensor(value))
        case Apply("floordiv" | "mod" as op, (dividend, Const(int(divisor)))) if divisor > 0:
            divided = values[dividend]
            return _DIVISIONS[op](divided, divisor) if isinstance(divided, Range) else None
        case Apply(op, args):
            operands = [values[arg] for arg in args]
            if op in _ON_TRUTHS and all(
                operand is None or isinstance(operand, Truth) for operand in operands
            ):
                return _ON_TRUTHS[op](*(operand or _ANY for operand in operands))
            if op in _ON_RANGES and all(isinstance(operand, Range) for operand in operands):
                return _ON_RANGES[op](*operands)
    return None


_ANY = Truth(torch.tensor(True), torch.tensor(True))


def _less(a: Range, b: Range) -> Truth:
    return Truth(a.low < b.high, a.high >= b.low)


def _at_most(a: Range, b: Range) -> Truth:
    return Truth(a.low <= b.high, a.high > b.low)


def _equal(a: Range, b: Range) -> Truth:
    single = (a.low == a.high) & (b.low == b.high) & (a.low == b.low)
    return Truth((a.low <= b.high) & (b.low <= a.high), ~single)


def _not(a: Truth) -> Truth:
    return Truth(a.may_fail, a.may_hold)


def _quotient(a: Range, divisor: int) -> Value:
    return None if a.low.is_floating_point() else Range(a.low // divisor, a.high // divisor)


def _remainder(a: Range, divisor: int) -> Value:
    """Exact where all values lie in one period."""
    if a.low.is_floating_point():
        return None
    same = a.low // divisor == a.high // divisor
    return Range(torch.where(same, a.low % divisor, 0), torch.where(same, a.high % divisor, divisor - 1))


def _absolute(a: Range) -> Range:
    low, high = a.low.abs(), a.high.abs()
    around = (a.low <= 0) & (a.high >= 0)
    return Range(torch.where(around, 0, torch.minimum(low, high)), torch.maximum(low, high))


def _product(a: Range, b: Range) -> Range:
    corners = [one * other for one in (a.low, a.high) for other in (b.low, b.high)]
    lows = torch.minimum(torch.minimum(*corners[:2]), torch.minimum(*corners[2:]))
    return Range(lows, torch.maximum(torch.maximum(*corners[:2]), torch.maximum(*corners[2:])))


_DIVISIONS: dict[str, Callable[[Range, int], Value]] = {"floordiv": _quotient, "mod": _remainder}
_ON_TRUTHS: dict[str, Callable[..., Value]] = {
    "and": lambda a, b: Truth(a.may_hold & b.may_hold, a.may_fail | b.may_fail),
    "or": lambda a, b: Truth(a.may_hold | b.may_hold, a.may_fail & b.may_fail),
    "not": _not,
}
_ON_RANGES: dict[str, Callable[..., Value]] = {
    "add": lambda a, b: Range(a.low + b.low, a.high + b.high),
    "sub": lambda a, b: Range(a.low - b.high, a.high - b.low),
    "mul": _product,
    "abs": _absolute,
    "neg": lambda a: Range(-a.high, -a.low),
    "min": lambda a, b: Range(torch.minimum(a.low, b.low), torch.minimum(a.high, b.high)),
    "max": lambda a, b: Range(torch.maximum(a.low, b.low), torch.maximum(a.high, b.high)),
    "lt": _less,
    "le": _at_most,
    "gt": lambda a, b: _less(b, a),
    "ge": lambda a, b: _at_most(b, a),
    "eq": _equal,
    "ne": lambda a, b: _not(_equal(a, b)),
}
