"""Formulas in a pattern's own names: expressions of the pattern IR as sympy, each with its value beside it.

Every choice an expression makes (`min`, `clamp`, `if`) is decided by the values at one query, so a
formula holds for that query and all others that choose alike. `q.a % b` stays one symbol, whose mean over
the queries is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy

from attndsl.ir.bound import BoundIR, Segment
from attndsl.ir.expr import (
    Apply,
    AxisVariable,
    Const,
    Element,
    Expr,
    Extent,
    FlatIndex,
    Head,
    Number,
    Position,
    Side,
    Symbol,
)

Formula = Any
"""A sympy expression; sympy has no types to check."""


class NoFormulaError(Exception):
    """The expression has no formula of the kind that is looked for."""


@dataclass(frozen=True)
class Term:
    """A formula and its value at the query in question."""

    formula: Formula
    value: float

    def __add__(self, other: Term) -> Term:
        return Term(self.formula + other.formula, self.value + other.value)

    def __sub__(self, other: Term) -> Term:
        return Term(self.formula - other.formula, self.value - other.value)

    def __mul__(self, other: Term) -> Term:
        return Term(self.formula * other.formula, self.value * other.value)

    def __truediv__(self, other: Term) -> Term:
        return Term(self.formula / other.formula, self.value / other.value)


def number(value: float) -> Term:
    """A constant."""
    exact = sympy.Integer(value) if value == int(value) else sympy.Float(value)
    return Term(exact, value)


ZERO, ONE = number(0), number(1)


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
        """The term of an expression without operands, or of an element of a parameter."""
        match node:
            case Const(value):
                return number(float(value) if isinstance(value, bool) else value)
            case Symbol(name, kind):
                return self._symbol(name, kind == "int")
            case Element(name, index, kind):
                return self._element(name, index, kind == "int")
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

    def _element(self, name: str, index: Expr, integer: bool) -> Term:
        at = self.axis(index, "q") if isinstance(index, AxisVariable) else int(translate(index, self).value)
        label = "head" if isinstance(index, Head) else str(at)
        return self._named(f"{name}[{label}]", self.ir.parameters[name][at], integer)


def translate(expr: Expr, names: Names) -> Term:
    """The term of a number. Raises NoFormulaError for operators outside index arithmetic."""
    if isinstance(expr, Element) or not expr.children:
        return names.leaf(expr)
    if not isinstance(expr, Apply):
        raise NoFormulaError(f"{type(expr).__name__} has no formula")
    if expr.op == "select":
        condition, value, other = expr.args
        return translate(value if decide(condition, names) else other, names)
    return _operation(expr.op, [translate(arg, names) for arg in expr.args], names)


def _operation(op: str, args: list[Term], names: Names) -> Term:
    match op, args:
        case "min" | "max", [first, second]:
            chosen = min if op == "min" else max
            return chosen(first, second, key=lambda term: term.value)
        case "abs", [term]:
            return term if term.value >= 0 else number(0) - term
        case "mod", [dividend, divisor]:
            return names.remainder(dividend, divisor)
        case "floordiv", [dividend, divisor]:
            return names.quotient(dividend, divisor)
        case (("floor" | "int" | "ceil" | "round" | "real"), [term]):
            return _rounded(op, term)
    if op not in ARITHMETIC:
        raise NoFormulaError(f"`{op}` has no formula")
    return ARITHMETIC[op](*args)


def _rounded(op: str, term: Term) -> Term:
    if op == "real" or term.formula.is_integer:
        return term
    if op == "round":
        raise NoFormulaError("`round` has no formula")
    up = op == "ceil" or (op == "int" and term.value < 0)
    rounding: Callable[[Formula], Formula] = sympy.ceiling if up else sympy.floor
    return Term(rounding(term.formula), math.ceil(term.value) if up else math.floor(term.value))


ARITHMETIC: dict[str, Callable[..., Term]] = {
    "add": Term.__add__,
    "sub": Term.__sub__,
    "mul": Term.__mul__,
    "div": Term.__truediv__,
    "neg": lambda term: number(0) - term,
    "pow": lambda base, power: Term(base.formula**power.formula, base.value**power.value),
}

COMPARE: dict[str, Callable[[float, float], bool]] = {
    "lt": lambda first, second: first < second,
    "le": lambda first, second: first <= second,
    "gt": lambda first, second: first > second,
    "ge": lambda first, second: first >= second,
    "eq": lambda first, second: first == second,
    "ne": lambda first, second: first != second,
}


def decide(condition: Expr, names: Names) -> bool:
    """Whether a condition without keys holds at the query."""
    match condition:
        case Apply("and", (first, second)):
            return decide(first, names) and decide(second, names)
        case Apply("or", (first, second)):
            return decide(first, names) or decide(second, names)
        case Apply("not", (inner,)):
            return not decide(inner, names)
        case Apply(op, (first, second)) if op in COMPARE:
            return COMPARE[op](translate(first, names).value, translate(second, names).value)
    return bool(translate(condition, names).value)


def mean(formula: Formula, names: Names) -> Formula:
    """The formula with all that varies with the query replaced by its mean."""
    return sympy.simplify(formula.subs(names.means, simultaneous=True))


def _operand(term: Term) -> str:
    text = str(term.formula)
    return f"({text})" if " " in text or "*" in text else text
