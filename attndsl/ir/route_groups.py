"""Pools over tokens that have something in common, beside those over blocks: a condition, or a number."""

from __future__ import annotations

from dataclasses import dataclass

from attndsl.ir.expr import Expr, Side
from attndsl.ir.route import Reduction, RouteNode


@dataclass(frozen=True, eq=False)
class PoolWhere(RouteNode):
    """`sum(x in q.n >= 64)`: over the queries, or the keys, for which the condition holds.

    side: which of the two. A sum or mean of none is 0, the largest of none -inf.
    """

    kind: Reduction
    operand: Expr
    condition: Expr
    side: Side


@dataclass(frozen=True, eq=False)
class PoolAlike(RouteNode):
    """`mean(k in chunk[k])`: for each key, over all keys with the same number."""

    kind: Reduction
    operand: Expr
    number: Expr
