"""Prints expressions of the pattern IR as C++: one spelling per operator of `ir/ops.OPS`.

The printed code computes exactly what the interpreter computes. Integers are 32 bits wide where the interval
analysis proves that they fit, so that as many as possible share a vector register, and 64 bits elsewhere;
reals are doubles. Logic uses `&` and `|`, which have no branches, so that loops over tokens are vectorised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from attndsl.ir.expr import Apply, Const, Expr, Number, Table
from attndsl.ir.intervals import Strided, Value
from attndsl.ir.ops import Scalar

CppType = Literal["bool", "int32_t", "int64_t", "double"]
STORED_TYPES: dict[Scalar, CppType] = {"int": "int64_t", "real": "double", "bool": "bool"}
"""How tables and declared inputs are stored."""

_ORDER: tuple[CppType, ...] = ("bool", "int32_t", "int64_t", "double")


@dataclass(frozen=True)
class Text:
    """A printed expression: its type, and whether it can be an operand without parentheses."""

    text: str
    type: CppType
    atomic: bool = True

    def __str__(self) -> str:
        return self.text if self.atomic else f"({self.text})"


def cpp_type(node: Expr, value: Value) -> CppType:
    """The C++ type of a node that takes the values `value`."""
    if node.type == "bool":
        return "bool"
    if node.type == "real":
        return "double"
    assert isinstance(value, Strided)
    fits = value.stride is not None and value.lo.min() >= -(2**31) and value.hi.max() < 2**31
    return "int32_t" if fits else "int64_t"


def print_node(
    node: Expr, operands: Sequence[Text], kind: CppType, nonnegative: bool, exact: bool = True
) -> Text:
    """One node over printed operands.

    nonnegative: no operand of this node can be below zero. exact: whether reals must agree with the
    interpreter to the last bit.
    """
    match node:
        case Apply("mul") if not exact:
            return _infix("*")(operands, kind)
        case Const(value):
            return Text(_number(value), kind)
        case Table(name, _, _):
            return _cast(Text(f"table_{name}[{operands[0].text}]", STORED_TYPES[node.type]), kind)
        case Apply("floordiv" | "mod" as op) if kind != "double" and nonnegative:
            left, right = _common(operands)
            return _cast(Text(f"{left} {'/' if op == 'floordiv' else '%'} {right}", left.type, False), kind)
        case Apply(op):
            return SPELLINGS[op](operands, kind)
    raise TypeError(f"{type(node).__name__} is not an operator")


def _number(value: Number) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        text = str(value) if abs(value) < 2**31 else f"INT64_C({value})"
        return text if value >= 0 else f"({text})"
    text = "double(infinity)" if math.isinf(value) else repr(abs(value))
    return text if value >= 0 else f"(-{text})"


def _cast(operand: Text, kind: CppType) -> Text:
    if operand.type == kind:
        return operand
    return Text(f"{kind}({operand.text})", kind)


def _common(operands: Sequence[Text], *wanted: CppType) -> list[Text]:
    """The operands, all converted to the widest type among them and `wanted`."""
    kind = max((*wanted, *(operand.type for operand in operands)), key=_ORDER.index)
    return [_cast(operand, kind) for operand in operands]


Spelling = Callable[[Sequence[Text], CppType], Text]


def _infix(symbol: str) -> Spelling:
    """Arithmetic between two numbers, in the wider of the operands' and the result's types."""

    def spell(operands: Sequence[Text], kind: CppType) -> Text:
        left, right = _common(operands, kind)
        return _cast(Text(f"{left} {symbol} {right}", left.type, False), kind)

    return spell


def _product(operands: Sequence[Text], kind: CppType) -> Text:
    """A real product is rounded before it is used: a fused multiply-add would differ from the interpreter."""
    product = _infix("*")(operands, kind)
    return Text(f"rounded({product.text})", kind) if kind == "double" else product


def _compare(symbol: str) -> Spelling:
    def spell(operands: Sequence[Text], kind: CppType) -> Text:
        left, right = _common(operands)
        return Text(f"{left} {symbol} {right}", "bool", False)

    return spell


def _logic(symbol: str) -> Spelling:
    return lambda operands, kind: Text(f"{operands[0]} {symbol} {operands[1]}", "bool", False)


def _call(name: str) -> Spelling:
    """A function of the tile runtime, overloaded for each type."""

    def spell(operands: Sequence[Text], kind: CppType) -> Text:
        arguments = _common(operands, kind)
        return _cast(Text(f"{name}({', '.join(o.text for o in arguments)})", arguments[0].type), kind)

    return spell


def _real_call(name: str) -> Spelling:
    """A function of the C++ library on doubles."""

    def spell(operands: Sequence[Text], kind: CppType) -> Text:
        return _cast(Text(f"std::{name}({_cast(operands[0], 'double').text})", "double"), kind)

    return spell


def _round(name: str) -> Spelling:
    """Rounding to an integer; a 32-bit integer is one already."""
    real = _real_call(name)
    return lambda operands, kind: (
        _cast(operands[0], kind) if operands[0].type == "int32_t" else real(operands, kind)
    )


def _select(operands: Sequence[Text], kind: CppType) -> Text:
    condition, value, other = operands[0], *(_cast(operand, kind) for operand in operands[1:])
    return Text(f"{condition} ? {value} : {other}", kind, False)


SPELLINGS: dict[str, Spelling] = {
    "add": _infix("+"),
    "sub": _infix("-"),
    "mul": _product,
    "div": lambda operands, kind: _infix("/")([_cast(operand, "double") for operand in operands], kind),
    "floordiv": _call("floor_divide"),
    "mod": _call("floor_modulo"),
    "pow": _call("power"),
    "neg": lambda operands, kind: Text(f"-{_cast(operands[0], kind)}", kind, False),
    "abs": _call("absolute"),
    "min": _call("smaller"),
    "max": _call("larger"),
    "floor": _round("floor"),
    "ceil": _round("ceil"),
    "round": _round("nearbyint"),
    "int": _round("trunc"),
    "real": lambda operands, kind: _cast(operands[0], "double"),
    "bit_length": lambda operands, kind: _cast(Text(f"bit_length({operands[0].text})", "int32_t"), kind),
    "exp": _real_call("exp"),
    "log2": _real_call("log2"),
    "sqrt": _real_call("sqrt"),
    "tanh": _real_call("tanh"),
    "erf": _real_call("erf"),
    "lt": _compare("<"),
    "le": _compare("<="),
    "gt": _compare(">"),
    "ge": _compare(">="),
    "eq": _compare("=="),
    "ne": _compare("!="),
    "and": _logic("&"),
    "or": _logic("|"),
    "not": lambda operands, kind: Text(f"!{operands[0]}", "bool", False),
    "select": _select,
}
"""How C++ spells each operator, from the printed operands and the type of the result."""
