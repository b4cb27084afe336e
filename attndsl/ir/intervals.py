"""Interval analysis of expressions: which values can occur when positions, heads and inputs range over boxes.

The scheduler evaluates masks over boxes of tokens with it, and bind evaluates every expression over the
whole space to prove that no integer overflows and no divisor is zero. `leaf` gives the range of every
Position, Head and InputAt; arrays of any broadcastable shapes describe many boxes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from attndsl.ir.domain import (
    LIMIT,
    UNKNOWN_NUMBER,
    UNKNOWN_TRUTH,
    Array,
    Strided,
    Truth,
    Value,
    between,
    exactly,
)
from attndsl.ir.expr import Apply, Const, Expr, Table
from attndsl.ir.interval_rules import RULES

Leaf = Callable[[Expr], Value]


def evaluate(expr: Expr, leaf: Leaf, *, unlimited: bool = False) -> Value:
    """The values that one expression can take; see `evaluate_all`."""
    return evaluate_all([expr], leaf, unlimited=unlimited)[expr]


def evaluate_all(
    roots: list[Expr], leaf: Leaf, *, known: Mapping[Expr, Value] | None = None, unlimited: bool = False
) -> dict[Expr, Value]:
    """The values that each node below the roots can take, by node.

    known: values of nodes that need not be computed; nothing below them is visited.
    unlimited: compute integers as Python integers (object arrays), so that bounds show an overflow of 64
    bits. An
        integer whose bounds are not known at all (an input, a division by what may be 0) has infinite
        real bounds.
    """
    values: dict[Expr, Value] = dict(known or {})
    with np.errstate(all="ignore"):
        for node in _pending(roots, values):
            value = _evaluate_node(node, values, leaf)
            values[node] = _unlimited(value) if unlimited else value
    return values


def _pending(roots: list[Expr], known: Mapping[Expr, Value]) -> list[Expr]:
    """Nodes without a known value, operands before the nodes that use them."""
    order: dict[Expr, None] = {}
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.setdefault(node)
        elif node not in known and node not in order:
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(node.children))
    return list(order)


def _evaluate_node(node: Expr, values: Mapping[Expr, Value], leaf: Leaf) -> Value:
    if isinstance(node, (Const, Apply, Table)):
        return apply(node, [values[child] for child in node.children])
    return leaf(node)


def apply(node: Const | Apply | Table, operands: Sequence[Value]) -> Value:
    """The values of one node, from those of its operands."""
    match node:
        case Const(value):
            return exactly(value)
        case Apply(op):
            return RULES[op](*operands)
        case Table(_, entries):
            return _table(exactly(np.asarray(entries)), operands[0])


def _table(entries: Value, index: Value) -> Value:
    """An entry where the index is one number, all entries together elsewhere."""
    assert isinstance(index, Strided)
    single = index.lo == index.hi
    at = np.where(single, index.lo, 0).astype(np.int64)
    if isinstance(entries, Truth):
        return Truth(
            np.where(single, entries.may_hold[at], entries.may_hold.any()),
            np.where(single, entries.may_fail[at], entries.may_fail.any()),
        )
    lo = np.where(single, entries.lo[at], entries.lo.min())
    hi = np.where(single, entries.hi[at], entries.hi.max())
    if entries.stride is None:
        return Strided(lo, hi, None)
    return Strided(lo, hi, np.where(lo == hi, 0, np.gcd.reduce(np.abs(entries.lo - entries.lo[0]))))


def _unlimited(value: Value) -> Value:
    if isinstance(value, Truth) or value.stride is None:
        return value
    # one element at least: NumPy turns object arrays without dimensions into plain Python integers
    lo, hi, stride = (np.atleast_1d(part).astype(object) for part in (value.lo, value.hi, value.stride))
    return Strided(lo, hi, stride)


__all__ = [
    "LIMIT",
    "UNKNOWN_NUMBER",
    "UNKNOWN_TRUTH",
    "Array",
    "Leaf",
    "Strided",
    "Truth",
    "Value",
    "apply",
    "between",
    "evaluate",
    "evaluate_all",
    "exactly",
]
