"""Simplification of expressions: constants are folded and identities of integers and logic applied.

Every rule keeps the value for every input; the rule in words stands above each case.
"""

from __future__ import annotations

import math

import numpy as np

from attndsl.ir.expr import FALSE, TRUE, Apply, Const, Expr, Number, Table
from attndsl.ir.ops import COMPARISONS, OPS
from attndsl.passes.rewrite import rewrite, substitute

LARGEST = 2**63 - 1
"""Integers are 64 bits wide."""
TOO_LARGE = "it does not fit into 64 bits"


class ImpossibleValueError(Exception):
    """Folding met a value that does not exist (division by zero, overflow); bind adds the place."""

    def __init__(self, expr: Expr, problem: str) -> None:
        super().__init__(problem)
        self.expr = expr
        self.problem = problem


def simplify(root: Expr) -> Expr:
    """An equal expression in which nothing constant is left to compute."""
    return rewrite(root, simplify_node)


def simplify_node(node: Expr) -> Expr:
    """An equal node, given that its operands are simplified already."""
    match node:
        case Table(_, values, Const(int(index))) if 0 <= index < len(values):
            return Const(values[index])
        case Table(_, values, _) if len(set(values)) == 1:
            return Const(values[0])
        case Apply(_, args) if all(isinstance(arg, Const) for arg in args):
            return _fold(node)
        case Apply("and" | "or" | "not" | "select"):
            return _simplify_logic(node)
        case Apply(op) if op in COMPARISONS:
            return _simplify_comparison(node)
        case Apply():
            return _simplify_arithmetic(node)
    return node


def _fold(node: Apply) -> Const:
    """All operands are constants: the value itself."""
    values = [arg.value for arg in node.args if isinstance(arg, Const)]
    _refuse_impossible(node, values)
    operands = map(_unlimited, values) if node.type == "int" else values
    result = OPS[node.op].evaluate(*operands)
    value = result.item() if hasattr(result, "item") else result
    if node.type == "int" and not -LARGEST <= int(value) <= LARGEST:
        raise ImpossibleValueError(node, TOO_LARGE)
    if node.type == "real" and not math.isfinite(value):
        raise ImpossibleValueError(node, "it is not a finite number")
    return Const({"int": int, "real": float, "bool": bool}[node.type](value))


def _unlimited(value: Number) -> object:
    """Integers fold in Python's unlimited arithmetic, so that an overflow is seen and not wrapped."""
    return np.array(value, dtype=object) if type(value) is int else value


def _refuse_impossible(node: Apply, values: list[Number]) -> None:
    match node.op, values:
        case (("div" | "floordiv" | "mod"), [_, divisor]) if divisor == 0:
            raise ImpossibleValueError(node, "it divides by zero")
        case "pow", [base, exponent] if node.type == "int" and exponent < 0:
            raise ImpossibleValueError(node, "an integer has no power with a negative exponent")
        case "pow", [base, exponent] if abs(base) > 1 and exponent * math.log2(abs(base)) > 1000:
            raise ImpossibleValueError(node, TOO_LARGE)
        case "pow", [base, exponent] if (base < 0 and exponent != int(exponent)) or (
            base == 0 and exponent < 0
        ):
            raise ImpossibleValueError(node, "it is no real number")
        case "log2", [value] if value <= 0:
            raise ImpossibleValueError(node, "log2 needs a positive number")
        case "sqrt", [value] if value < 0:
            raise ImpossibleValueError(node, "sqrt needs a number that is not negative")
        case "exp", [value] if value > 700:
            raise ImpossibleValueError(node, "it is not a finite number")


def _simplify_logic(node: Apply) -> Expr:
    match node.op, node.args:
        # true and x = x; false and x = false; x and x = x
        case "and", (first, second):
            return _junction(first, second, neutral=TRUE, absorbing=FALSE) or node
        # false or x = x; true or x = true; x or x = x
        case "or", (first, second):
            return _junction(first, second, neutral=FALSE, absorbing=TRUE) or node
        # not not x = x
        case "not", (Apply("not", (inner,)),):
            return inner
        # a choice whose condition is known, or whose branches are equal
        case "select", (Const(condition), value, other):
            return _as_type(value if condition else other, node)
        case "select", (_, value, other) if value is other:
            return value
    return node


def _junction(first: Expr, second: Expr, *, neutral: Expr, absorbing: Expr) -> Expr | None:
    if absorbing in (first, second):
        return absorbing
    if first is neutral or first is second:
        return second
    return first if second is neutral else None


def _simplify_comparison(node: Apply) -> Expr:
    first, second = node.args
    # an integer compared with itself
    if first is second and first.type != "real":
        return Const(node.op in ("le", "ge", "eq"))
    return node


def _simplify_arithmetic(node: Apply) -> Expr:
    match node.op, node.args:
        # 0 + x = x + 0 = x - 0 = x
        case ("add", (Const(0), x)) | ("add" | "sub", (x, Const(0))):
            return _as_type(x, node)
        # 1 * x = x * 1 = x // 1 = x ** 1 = x, for integers
        case ("mul", (Const(1), x)) | ("mul" | "floordiv" | "pow", (x, Const(1))) if x.type == "int":
            return _as_type(x, node)
        # x % 1 = x * 0 = 0, for integers
        case ("mod", (x, Const(1))) | ("mul", (x, Const(0))) | ("mul", (Const(0), x)) if node.type == "int":
            return Const(0)
        # x - x = 0, for integers
        case "sub", (x, y) if x is y and x.type == "int":
            return Const(0)
        # min(x, x) = max(x, x) = x
        case (("min" | "max"), (x, y)) if x is y:
            return x
        # rounding an integer
        case (("floor" | "ceil" | "round" | "int"), (x,)) if x.type == "int":
            return x
    return node


def _as_type(value: Expr, node: Expr) -> Expr:
    """`value`, converted when the operator it replaces widened it to real."""
    return Apply("real", (value,)) if value.type == "int" and node.type == "real" else value


__all__ = ["ImpossibleValueError", "simplify", "substitute"]
