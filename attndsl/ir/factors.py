"""The logarithm of a decay's factor where data say what the factor is."""

from __future__ import annotations

from dataclasses import dataclass

from attndsl.ir.expr import Expr
from attndsl.ir.route import RouteNode


@dataclass(frozen=True, eq=False)
class LogOfFactor(RouteNode):
    """The natural logarithm of a factor that reads inputs: -inf of 0. Calls refuse factors below 0."""

    factor: Expr
