"""Numbers of NumPy beside traced values: `np.int64(3) <= q.n` reaches the operator of Python."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from attndsl.diagnostics import AttnTraceError
from attndsl.trace.place import here

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "true_divide": operator.truediv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "power": operator.pow,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "equal": operator.eq,
    "not_equal": operator.ne,
    "bitwise_and": operator.and_,
    "bitwise_or": operator.or_,
}


def apply_operator(name: str, operands: tuple[Any, ...]) -> Any:
    """The operator behind a NumPy function, with numbers of NumPy as numbers of Python."""
    if name not in OPERATORS or any(isinstance(each, np.ndarray) and each.ndim for each in operands):
        raise AttnTraceError(
            "A1010",
            f"`{name}` of NumPy cannot take traced values",
            span=here().span,
            help=f"write `attndsl.lang.{name}` if the language has it, and numbers instead of arrays",
        )
    left, right = (each.item() if isinstance(each, np.generic | np.ndarray) else each for each in operands)
    return OPERATORS[name](left, right)
