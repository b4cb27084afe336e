"""The elementwise operations of tile IR: their meaning in NumPy, and how printers spell them.

Operands and results are float32; comparisons give bool, `select` and logic take it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from attndsl.ir.ops import erf


@dataclass(frozen=True)
class Operation:
    """One operation. symbol: the infix spelling, the same in every target; empty for functions."""

    arity: int
    evaluate: Callable[..., Any]
    symbol: str = ""


ELEMENTWISE: dict[str, Operation] = {
    "add": Operation(2, np.add, "+"),
    "sub": Operation(2, np.subtract, "-"),
    "mul": Operation(2, np.multiply, "*"),
    "div": Operation(2, np.divide, "/"),
    "eq": Operation(2, np.equal, "=="),
    "ne": Operation(2, np.not_equal, "!="),
    "lt": Operation(2, np.less, "<"),
    "le": Operation(2, np.less_equal, "<="),
    "gt": Operation(2, np.greater, ">"),
    "ge": Operation(2, np.greater_equal, ">="),
    "and": Operation(2, np.logical_and, "&"),
    "or": Operation(2, np.logical_or, "|"),
    "not": Operation(1, np.logical_not),
    "max": Operation(2, np.maximum),
    "min": Operation(2, np.minimum),
    "abs": Operation(1, np.abs),
    "exp2": Operation(1, np.exp2),
    "log2": Operation(1, np.log2),
    "sqrt": Operation(1, np.sqrt),
    "tanh": Operation(1, np.tanh),
    "erf": Operation(1, lambda x: erf(x).astype(np.asarray(x).dtype)),
    "select": Operation(3, np.where),
}
"""`select(condition, value, other)` is `value` where the condition holds and `other` elsewhere."""

TRUTHS = frozenset({"eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not"})
"""Operations that give bool."""
