"""Numbers and conditions of the pattern IR as terms, at one query.

Every choice an expression makes (`min`, `clamp`, `if`) is decided by the values at that query, so a
formula holds for it and all others that choose alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import sympy

from attndsl.ir.expr import Apply, AxisVariable, Element, Expr, Head
from attndsl.simulate.names import Names
from attndsl.simulate.terms import ZERO, Formula, NoFormulaError, Term

LARGEST_POWER = 64


def translate(expr: Expr, names: Names) -> Term:
    """The term of a number. Raises NoFormulaError for operators outside index arithmetic."""
    if isinstance(expr, Element):
        return _element(expr, names)
    if not expr.children:
        return names.leaf(expr)
    if not isinstance(expr, Apply):
        raise NoFormulaError(f"{type(expr).__name__} has no formula")
    if expr.op == "select":
        condition, value, other = expr.args
        return translate(value if decide(condition, names) else other, names)
    return _operation(expr.op, [translate(arg, names) for arg in expr.args], names)


def _element(node: Element, names: Names) -> Term:
    index = node.index
    place = names.axis(index, "q") if isinstance(index, AxisVariable) else int(translate(index, names).value)
    label = "head" if isinstance(index, Head) else str(place)
    return names.element(node.name, place, label, node.kind == "int")


def _operation(op: str, args: list[Term], names: Names) -> Term:
    match op, args:
        case "min" | "max", [first, second]:
            chosen = min if op == "min" else max
            return chosen(first, second, key=lambda term: term.value)
        case "abs", [term]:
            return term if term.value >= 0 else ZERO - term
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


def _power(base: Term, power: Term) -> Term:
    if abs(power.value) > LARGEST_POWER:
        raise NoFormulaError("this power is too large to look at")
    return Term(base.formula**power.formula, base.value**power.value)


ARITHMETIC: dict[str, Callable[..., Term]] = {
    "add": Term.__add__,
    "sub": Term.__sub__,
    "mul": Term.__mul__,
    "div": Term.__truediv__,
    "neg": lambda term: ZERO - term,
    "pow": _power,
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
