"""Terms: formulas in a pattern's own names as sympy expressions, each with its value beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

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
