"""What gates say across heads: which heads a token chooses, and how much it gives to each.

Sources: mixture of heads, P. Jin et al., 2024, arXiv:2410.11842.
"""

from __future__ import annotations

from dataclasses import dataclass

from attndsl.ir.expr import Expr
from attndsl.ir.ops import Scalar
from attndsl.ir.route import RouteNode


@dataclass(frozen=True, eq=False)
class SoftmaxOfHeads(RouteNode):
    """`softmax(x in heads, condition)`: over the heads for which the condition holds; 0 for all others."""

    operand: Expr
    condition: Expr


@dataclass(frozen=True, eq=False)
class TopOfHeads(RouteNode):
    """`top(x in heads, count, condition)`: whether the head is among the `count` of the largest x.

    Only heads for which the condition holds take part. Among equals any may win.
    """

    operand: Expr
    count: Expr
    condition: Expr

    @property
    def type(self) -> Scalar:
        """A truth value."""
        return "bool"
