"""Symbolic derivatives of expressions: what backward kernels multiply gradients of scores with.

Numbers are folded as they arise, so that the derivative of `s - term` is 1. Rounded and compared values have
derivative 0; at a kink of `abs`, `min` and `max` it is that of one side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from attndsl.ir.expr import Apply, Const, Expr, topological

ZERO, ONE = Const(0.0), Const(1.0)
LN_2 = 0.6931471805599453


def derivative(root: Expr, variable: Expr) -> Expr:
    """The derivative of a real expression. Raises TypeError for an operator that has none."""
    found: dict[Expr, Expr] = {}
    for node in topological(root):
        found[node] = _of_node(node, variable, found)
    return found[root]


def _of_node(node: Expr, variable: Expr, found: Mapping[Expr, Expr]) -> Expr:
    if node is variable:
        return ONE
    if not isinstance(node, Apply) or variable not in node.mentioned or node.type == "bool":
        return ZERO
    inner = [found[arg] for arg in node.args]
    match node.op, node.args:
        case "add", _:
            return _add(*inner)
        case "sub", _:
            return _add(inner[0], _times(Const(-1.0), inner[1]))
        case "neg", _:
            return _times(Const(-1.0), inner[0])
        case "real", _:
            return inner[0]
        case "mul", (x, y):
            return _add(_times(inner[0], y), _times(x, inner[1]))
        case "div", (x, y):
            return _add(_over(inner[0], y), _times(Const(-1.0), _over(_times(x, inner[1]), _times(y, y))))
        case "exp", _:
            return _times(node, inner[0])
        case "tanh", _:
            return _times(Apply("sub", (ONE, _times(node, node))), inner[0])
        case "erf", (x,):
            bell = Apply("exp", (Apply("neg", (_times(x, x),)),))
            return _times(_times(Const(2 / math.sqrt(math.pi)), bell), inner[0])
        case "log2", (x,):
            return _over(_times(Const(1 / LN_2), inner[0]), x)
        case "sqrt", _:
            return _over(_times(Const(0.5), inner[0]), node)
        case "abs", (x,):
            return _choose("lt", x, ZERO, _times(Const(-1.0), inner[0]), inner[0])
        case "min", (x, y):
            return _choose("le", x, y, *inner)
        case "max", (x, y):
            return _choose("ge", x, y, *inner)
        case "select", (condition, _, _):
            return Apply("select", (condition, inner[1], inner[2])) if inner[1] is not inner[2] else inner[1]
        case "pow", (x, Const(exponent)):
            power = Apply("pow", (x, Const(float(exponent) - 1.0)))
            return _times(_times(Const(float(exponent)), power), inner[0])
        case (("floor" | "ceil" | "round" | "int" | "bit_length" | "floordiv"), _):
            return ZERO
    raise TypeError(f"{node.op} has no derivative")


def _add(x: Expr, y: Expr) -> Expr:
    if isinstance(x, Const) and isinstance(y, Const):
        return Const(float(x.value + y.value))
    return y if x is ZERO else x if y is ZERO else Apply("add", (x, y))


def _times(x: Expr, y: Expr) -> Expr:
    if isinstance(x, Const) and isinstance(y, Const):
        return Const(float(x.value * y.value))
    if ZERO in (x, y):
        return ZERO
    return y if x is ONE else x if y is ONE else Apply("mul", (x, y))


def _over(x: Expr, y: Expr) -> Expr:
    if isinstance(x, Const) and isinstance(y, Const) and y.value:
        return Const(float(x.value / y.value))
    return ZERO if x is ZERO else x if y is ONE else Apply("div", (x, y))


def _choose(comparison: str, x: Expr, y: Expr, value: Expr, other: Expr) -> Expr:
    return value if value is other else Apply("select", (Apply(comparison, (x, y)), value, other))
