"""The operators of the language: types, exact meaning in NumPy, and spelling.

The interpreter, the interval analysis and every code printer share this table of names; a test asserts that
each of them covers it. `//` and `%` round to minus infinity. Division by zero cannot happen: bind proves
that no divisor of a bound pattern can be zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Scalar = Literal["int", "real", "bool"]


@dataclass(frozen=True)
class Op:
    """One operator. operands: what it takes; 'same' is all numbers or all truth values."""

    arity: int
    operands: Literal["number", "int", "bool", "same"]
    result: Callable[[tuple[Scalar, ...]], Scalar]
    evaluate: Callable[..., Any]
    spelling: str = ""
    """Infix or prefix spelling in `.attn`; empty for functions, which are spelled by name."""


def _wider(types: tuple[Scalar, ...]) -> Scalar:
    return "real" if "real" in types else "int"


def _branches(types: tuple[Scalar, ...]) -> Scalar:
    return "bool" if types[1] == "bool" else _wider(types[1:])


def _always(kind: Scalar) -> Callable[[tuple[Scalar, ...]], Scalar]:
    return lambda types: kind


def _to_int(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: function(np.asarray(x, dtype=np.float64)).astype(np.int64)


def _bit_length(x: Any) -> Any:
    return np.frexp(np.abs(np.asarray(x, dtype=np.int64)).astype(np.float64))[1].astype(np.int64)


def _power(x: Any, y: Any) -> Any:
    return np.power(np.asarray(x), np.asarray(y))


erf = np.vectorize(math.erf, otypes=[np.float64])
"""The error function, which NumPy lacks."""


_number, _bool, _int, _real = "number", _always("bool"), _always("int"), _always("real")

OPS: dict[str, Op] = {
    "add": Op(2, "number", _wider, np.add, "+"),
    "sub": Op(2, "number", _wider, np.subtract, "-"),
    "mul": Op(2, "number", _wider, np.multiply, "*"),
    "div": Op(2, "number", _real, np.true_divide, "/"),
    "floordiv": Op(2, "number", _wider, np.floor_divide, "//"),
    "mod": Op(2, "number", _wider, np.mod, "%"),
    "pow": Op(2, "number", _wider, _power, "**"),
    "neg": Op(1, "number", _wider, np.negative, "-"),
    "abs": Op(1, "number", _wider, np.abs),
    "min": Op(2, "number", _wider, np.minimum),
    "max": Op(2, "number", _wider, np.maximum),
    "floor": Op(1, "number", _int, _to_int(np.floor)),
    "ceil": Op(1, "number", _int, _to_int(np.ceil)),
    "round": Op(1, "number", _int, _to_int(np.round)),
    "int": Op(1, "number", _int, _to_int(np.trunc)),
    "real": Op(1, "number", _real, lambda x: np.asarray(x, dtype=np.float64)),
    "bit_length": Op(1, "int", _int, _bit_length),
    "exp": Op(1, "number", _real, np.exp),
    "log2": Op(1, "number", _real, np.log2),
    "sqrt": Op(1, "number", _real, np.sqrt),
    "tanh": Op(1, "number", _real, np.tanh),
    "erf": Op(1, "number", _real, erf),
    "lt": Op(2, "number", _bool, np.less, "<"),
    "le": Op(2, "number", _bool, np.less_equal, "<="),
    "gt": Op(2, "number", _bool, np.greater, ">"),
    "ge": Op(2, "number", _bool, np.greater_equal, ">="),
    "eq": Op(2, "same", _bool, np.equal, "=="),
    "ne": Op(2, "same", _bool, np.not_equal, "!="),
    "and": Op(2, "bool", _bool, np.logical_and, "and"),
    "or": Op(2, "bool", _bool, np.logical_or, "or"),
    "not": Op(1, "bool", _bool, np.logical_not, "not"),
    "select": Op(3, "same", _branches, np.where),
}
"""`select(condition, value, other)` is `value if condition else other`; `clamp` and `ceildiv` are built from
these."""

COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
