"""What the names of a pattern stand for: symbols with their values at one query, and their means over all.

`q.a % b` is one symbol, since its mean over the queries is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy

from attndsl.ir.bound import BoundIR, Segment
from attndsl.ir.expr import (
    AxisVariable,
    Const,
    Expr,
    Extent,
    FlatIndex,
    Head,
    Number,
    Position,
    Side,
    Symbol,
)
from attndsl.simulate.terms import Formula, NoFormulaError, Term, number


@dataclass
class Names:
    """What the names of a pattern stand for in one region, for one head, at one query.

    means collects the symbols that vary with the query, and the mean of each over all queries; values
    collects the other symbols.
    """

    ir: BoundIR
    segments: Mapping[Side, Segment]
    query: tuple[int, ...]
    head: int
    variables: Mapping[AxisVariable, int] = field(default_factory=dict)
    means: dict[Formula, Formula] = field(default_factory=dict)
    values: dict[Formula, float] = field(default_factory=dict)

    def leaf(self, node: Expr) -> Term:
        """The term of an expression without operands."""
        match node:
            case Const(value):
                return number(float(value) if isinstance(value, bool) else value)
            case Symbol(name, kind):
                return self._symbol(name, kind == "int")
            case Head():
                return self._named("head", self.head)
            case Extent(axis):
                return self.extent("q", self.axis(axis, "q"))
            case Position("q", axis):
                return self._query(self.axis(axis, "q"))
            case FlatIndex("q") if self.axes("q") == 1:
                return self._query(0) + number(self.segments["q"].offset)
        raise NoFormulaError(f"{type(node).__name__} has no formula")

    def axes(self, side: Side) -> int:
        """The number of axes of the region's segment on that side."""
        return len(self.segments[side].axes)

    def axis(self, axis: str | int | AxisVariable, side: Side) -> int:
        """The number of an axis in the region's segment on that side."""
        if isinstance(axis, AxisVariable):
            return self.variables[axis] if axis in self.variables else self._main_axis(axis.name)
        if isinstance(axis, int):
            return axis
        if axis not in self.segments[side].axes:
            raise NoFormulaError(f"axis {axis} belongs to another segment")
        return self.segments[side].axes.index(axis)

    def extent(self, side: Side, axis: int) -> Term:
        """The extent of an axis, as a symbol."""
        segment = self.segments[side]
        return self._named(f"extent({segment.axes[axis]})", segment.extents[axis])

    def remainder(self, dividend: Term, divisor: Term) -> Term:
        """`dividend % divisor`: a symbol of its own where the dividend varies with the query."""
        value = dividend.value % divisor.value
        if not self._varies(dividend):
            return Term(sympy.Mod(dividend.formula, divisor.formula), value)
        name = f"({_operand(dividend)} % {_operand(divisor)})"
        return self._varying(name, value, (divisor.formula - 1) / 2)

    def quotient(self, dividend: Term, divisor: Term) -> Term:
        """`dividend // divisor`; of numbers that divide it is their ratio."""
        remainder = dividend.value % divisor.value
        if self._varies(dividend):
            return (dividend - self.remainder(dividend, divisor)) / divisor
        if remainder == 0:
            return dividend / divisor
        quotient = dividend.formula / divisor.formula
        floor = sympy.floor(quotient) if dividend.value > 0 else -sympy.ceiling(-quotient)
        return Term(floor, (dividend.value - remainder) / divisor.value)

    def _varies(self, term: Term) -> bool:
        return bool(term.formula.free_symbols & self.means.keys())

    def _named(self, name: str, value: Number, integer: bool = True) -> Term:
        """A symbol for a number that is the same for all queries."""
        symbol = sympy.Symbol(name, integer=True) if integer else sympy.Symbol(name, real=True)
        self.values[symbol] = value
        return Term(symbol, value)

    def _varying(self, name: str, value: float, mean: Formula) -> Term:
        """A symbol for an integer that varies with the query."""
        symbol = sympy.Symbol(name, integer=True)
        self.means[symbol] = mean
        return Term(symbol, value)

    def _main_axis(self, name: str) -> int:
        return self.ir.query_space.segments[0].axes.index(name)

    def _query(self, axis: int) -> Term:
        middle = (self.extent("q", axis).formula - 1) / 2
        return self._varying(f"q.{self.segments['q'].axes[axis]}", self.query[axis], middle)

    def _symbol(self, name: str, integer: bool) -> Term:
        group = self.ir.heads // self.ir.kv_heads
        counts = {"heads": self.ir.heads, "kv_heads": self.ir.kv_heads, "kv_head": self.head // group}
        counts["rank"] = len(self.ir.query_space.segments[0].axes)
        value: Number = counts[name] if name in counts else self.ir.parameters[name][0]
        return self._named(name, value, integer)

    def element(self, name: str, place: int, label: str, integer: bool) -> Term:
        """An element of a parameter."""
        return self._named(f"{name}[{label}]", self.ir.parameters[name][place], integer)


def _operand(term: Term) -> str:
    text = str(term.formula)
    return f"({text})" if " " in text or "*" in text else text
