"""Pools over tokens beside those over blocks: by a condition, by a number, and weighted by a map."""

from __future__ import annotations

from dataclasses import dataclass

from attndsl.ir.expr import Expr, Side
from attndsl.ir.ops import Scalar
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


@dataclass(frozen=True, eq=False)
class Mix(RouteNode):
    """`softmax(scale * q . k) . v`: for each query the sum of the vectors of keys, weighted by a map."""

    weights: Expr
    vectors: Expr


@dataclass(frozen=True, eq=False)
class TopAlike(RouteNode):
    """`top(x in q.n - k.n, 8)`: whether a pair has one of the numbers with the largest sums of x.

    Sums run over all queries and keys at which x has values. Among equals any may win.
    """

    operand: Expr
    number: Expr
    count: Expr

    @property
    def type(self) -> Scalar:
        """A truth value."""
        return "bool"
