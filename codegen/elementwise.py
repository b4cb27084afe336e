"""The elementwise operations of tile IR: their meaning in NumPy, and how printers spell them.

Operands and results are float32; `eq` gives bool and `select` takes one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


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
    "max": Operation(2, np.maximum),
    "exp2": Operation(1, np.exp2),
    "log2": Operation(1, np.log2),
    "select": Operation(3, np.where),
}
"""`select(condition, value, other)` is `value` where the condition holds and `other` elsewhere."""
