"""Constants: numbers and truth values of Python, read when the function is traced."""

from __future__ import annotations

import math
import numbers

import numpy as np

from attndsl.diagnostics import AttnTraceError
from attndsl.source import Span
from attndsl.syntax import ast as syntax
from attndsl.syntax.literals import LARGEST_INTEGER
from attndsl.trace.node import Node


def constant(value: object, span: Span | None) -> Node:
    """The leaf of a constant. Raises AttnTraceError A1004 for what the language has no constant for."""
    number = _plain(value)
    if number is None:
        raise _refused(value, span)
    return Node(lambda place: literal(number, place), is_leaf=True)


def literal(number: bool | int | float, span: Span | None) -> syntax.Expr:
    """A literal as the parser reads it: a negative number is the negation of a positive one."""
    if isinstance(number, bool):
        return syntax.Boolean(number, span=span)
    if math.copysign(1.0, number) < 0:
        return syntax.Unary("-", syntax.Number(-number, span=span), span=span)
    return syntax.Number(number, span=span)


def _plain(value: object) -> bool | int | float | None:
    """The value as a finite number or truth value of Python, if it is one that 64 bits can hold."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value) if abs(int(value)) <= LARGEST_INTEGER else None
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return float(value)
    return None


def _refused(value: object, span: Span | None) -> AttnTraceError:
    shown = repr(value)
    return AttnTraceError(
        "A1004",
        f"this value of type {type(value).__name__} cannot stand in an expression",
        span=span,
        note=f"this is {shown if len(shown) <= 40 else shown[:37] + '...'}",
        help="use finite numbers of at most 64 bits, True or False; a tensor has its number in `.item()`",
    )
