"""Comparisons solved for the key: `f(query) op g(key)`, on whatever side they were written."""

from __future__ import annotations

from dataclasses import dataclass

from attndsl.ir.expr import Apply, Const, Expr, Position
from attndsl.ir.ops import COMPARISONS
from attndsl.passes.rewrite import rewrite

MIRRORED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq"}


@dataclass(frozen=True)
class Threshold:
    """`query op key`: one side mentions only queries, the other only keys."""

    op: str
    query: Expr
    key: Expr


def thresholds_only(mask: Expr) -> Expr:
    """The mask with `abs(x) < y` as `x < y and -y < x`, and `x != y` as `not x == y`."""
    return rewrite(mask, _rewritten)


def _rewritten(node: Expr) -> Expr:
    match node:
        case Apply("ne", (first, second)) if first.type != "bool":
            return Apply("not", (Apply("eq", (first, second)),))
        case Apply("lt" | "le" | "gt" | "ge" as op, (limit, Apply("abs") as distance)):
            return _distance(MIRRORED[op], distance, limit)
        case Apply("lt" | "le" | "gt" | "ge" as op, (Apply("abs") as distance, limit)):
            return _distance(op, distance, limit)
    return node


def _distance(op: str, distance: Apply, limit: Expr) -> Expr:
    """`abs(x) op limit` without `abs`."""
    if op in ("gt", "ge"):
        return Apply("not", (_distance("le" if op == "gt" else "lt", distance, limit),))
    (inner,) = distance.args
    return Apply("and", (Apply(op, (inner, limit)), Apply(op, (Apply("neg", (limit,)), inner))))


def threshold(condition: Expr) -> Threshold | None:
    """The comparison in this form; None if it has none. `a < b` becomes `query < key` or `query > key`."""
    match condition:
        case Apply(op, (first, second)) if op in COMPARISONS and op != "ne":
            return _solved(op, first, second)
    return None


def _solved(op: str, first: Expr, second: Expr) -> Threshold | None:
    sides = _sides(first), _sides(second)
    if "k" not in sides[0] and "q" not in sides[1]:
        return Threshold(op, first, second)
    if "q" not in sides[0] and "k" not in sides[1]:
        return Threshold(MIRRORED[op], second, first)
    left, right = _parts(first), _parts(second)
    if left is None or right is None or {first.type, second.type} != {"int"}:
        return None
    (q1, k1), (q2, k2) = left, right
    # q1 + k1 op q2 + k2 says the same as q1 - q2 op k2 - k1
    return Threshold(op, Apply("sub", (q1, q2)), Apply("sub", (k2, k1)))


def _parts(expr: Expr) -> tuple[Expr, Expr] | None:
    """A number as the sum of a part that mentions no keys and one that mentions no queries."""
    if "k" not in _sides(expr):
        return expr, Const(0)
    if "q" not in _sides(expr):
        return Const(0), expr
    match expr:
        case Apply("add" | "sub" as op, (first, second)):
            left, right = _parts(first), _parts(second)
            if left is not None and right is not None:
                (q1, k1), (q2, k2) = left, right
                return Apply(op, (q1, q2)), Apply(op, (k1, k2))
        case Apply("neg", (inner,)):
            parts_inside = _parts(inner)
            if parts_inside is not None:
                query, key = parts_inside
                return Apply("neg", (query,)), Apply("neg", (key,))
    return None


def _sides(expr: Expr) -> set[str]:
    return {leaf.side for leaf in expr.leaves if isinstance(leaf, Position)}
