"""Prints expressions of the pattern IR as Triton: one spelling per operator of `ir/ops.OPS`.

The printed code computes exactly what the interpreter computes. Integers are 32 bits wide where the interval
analysis proves that they fit and 64 bits elsewhere; reals are float64. Triton's `//` and `%` round to zero as
in C, so they are printed only where no operand can be negative; elsewhere functions of
`triton_functions.py` take their place. Triton gives a Python number the type of the tensor beside it, which
is right for integers that fit; every other number is printed with its type.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from attndsl.ir.expr import Apply, Const, Expr, Number
from attndsl.ir.intervals import Strided, Value

TritonType = Literal["int1", "int32", "int64", "float64"]

_ORDER: tuple[TritonType, ...] = ("int1", "int32", "int64", "float64")


@dataclass(frozen=True)
class Text:
    """A printed expression.

    atomic: whether it can be an operand without parentheses. literal: whether it is a Python number, which
    takes the type of its neighbour.
    """

    text: str
    type: TritonType
    atomic: bool = True
    literal: bool = False

    def __str__(self) -> str:
        return self.text if self.atomic else f"({self.text})"


def triton_type(node: Expr, value: Value) -> TritonType:
    """The Triton type of a node that takes the values `value`."""
    if node.type == "bool":
        return "int1"
    if node.type == "real":
        return "float64"
    assert isinstance(value, Strided)
    fits = value.stride is not None and value.lo.min() >= -(2**31) and value.hi.max() < 2**31
    return "int32" if fits else "int64"


def print_node(node: Expr, operands: Sequence[Text], kind: TritonType, ranges: Sequence[Value]) -> Text:
    """One node over printed operands. ranges: the values of the operands."""
    match node:
        case Const(value):
            return number(value, kind)
        case Apply("floordiv" | "mod" as op) if kind != "float64" and _nonnegative(ranges):
            return _infix("//" if op == "floordiv" else "%")(operands, kind)
        case Apply("pow"):
            return _power(node, operands, kind, ranges)
        case Apply(op):
            return SPELLINGS[op](operands, kind)
    raise TypeError(f"{type(node).__name__} is not an operator")


def number(value: Number, kind: TritonType) -> Text:
    """A constant of the given type."""
    if isinstance(value, bool):
        return Text(f"tl.full([], {value}, tl.int1)", "int1")
    if isinstance(value, int) and abs(value) < 2**31 and kind != "float64":
        return Text(str(value), kind, atomic=value >= 0, literal=True)
    text = f'float("{value}")' if isinstance(value, float) and not math.isfinite(value) else repr(value)
    return Text(f"tl.full([], {text}, tl.{kind})", kind)


def cast(operand: Text, kind: TritonType) -> Text:
    """The operand as another type."""
    if operand.type == kind:
        return operand
    if operand.literal:
        return Text(f"tl.full([], {operand.text}, tl.{kind})", kind)
    return Text(f"{operand}.to(tl.{kind})", kind)


def cast_text(operand: Text, kind: str) -> str:
    """The operand as a tensor of any of Triton's types."""
    if operand.literal:
        return f"tl.full([], {operand.text}, tl.{kind})"
    return f"{operand}.to(tl.{kind})"


def _common(operands: Sequence[Text], *wanted: TritonType) -> list[Text]:
    """The operands in the widest type among them and `wanted`; literals follow by themselves."""
    kind = max((*wanted, *(operand.type for operand in operands)), key=_ORDER.index)
    tensors = any(not operand.literal for operand in operands)
    return [o if o.literal and tensors and kind != "float64" else cast(o, kind) for o in operands]


def _nonnegative(ranges: Sequence[Value]) -> bool:
    return all(isinstance(value, Strided) and bool(value.lo.min() >= 0) for value in ranges)


Spelling = Callable[[Sequence[Text], TritonType], Text]


def _widest(operands: Sequence[Text]) -> TritonType:
    return max((operand.type for operand in operands), key=_ORDER.index)


def _infix(symbol: str) -> Spelling:
    """Arithmetic between two numbers, in the wider of the operands' and the result's types."""

    def spell(operands: Sequence[Text], kind: TritonType) -> Text:
        left, right = _common(operands, kind)
        wide = _widest((*operands, Text("", kind)))
        return cast(Text(f"{left} {symbol} {right}", wide, False), kind)

    return spell


def _compare(symbol: str) -> Spelling:
    def spell(operands: Sequence[Text], kind: TritonType) -> Text:
        left, right = _common(operands)
        return Text(f"{left} {symbol} {right}", "int1", False)

    return spell


def _logic(symbol: str) -> Spelling:
    return lambda operands, kind: Text(f"{operands[0]} {symbol} {operands[1]}", "int1", False)


def _call(name: str, real: str = "") -> Spelling:
    """A function of numbers of one type. real: its name for reals, where that differs."""

    def spell(operands: Sequence[Text], kind: TritonType) -> Text:
        arguments = _common(operands, kind)
        wide = _widest((*operands, Text("", kind)))
        called = real if real and wide == "float64" else name
        return cast(Text(f"{called}({', '.join(a.text for a in arguments)})", wide), kind)

    return spell


def _real_call(name: str) -> Spelling:
    """A function of reals."""
    return lambda operands, kind: cast(Text(f"{name}({cast(operands[0], 'float64').text})", "float64"), kind)


def _round(name: str) -> Spelling:
    """Rounding a real to an integer; an integer is one already."""

    def spell(operands: Sequence[Text], kind: TritonType) -> Text:
        if operands[0].type != "float64":
            return cast(operands[0], kind)
        rounded = f"{name}({operands[0].text})" if name else str(operands[0])
        return Text(f"{rounded}.to(tl.{kind})", kind)

    return spell


def _select(operands: Sequence[Text], kind: TritonType) -> Text:
    values = [cast(operand, kind) for operand in operands[1:]]
    if kind != "int32":
        values = [number_of(operand, kind) for operand in values]
    return Text(f"tl.where({operands[0].text}, {values[0].text}, {values[1].text})", kind)


def number_of(operand: Text, kind: TritonType) -> Text:
    """The operand with its type spelled out where nothing beside it gives it one."""
    return Text(f"tl.full([], {operand.text}, tl.{kind})", kind) if operand.literal else operand


def _power(node: Apply, operands: Sequence[Text], kind: TritonType, ranges: Sequence[Value]) -> Text:
    """Powers of 2.0 exactly, integer powers by squaring, others through logarithms."""
    base, exponent = node.args[0], ranges[1]
    if operands[1].type != "float64" and isinstance(exponent, Strided) and exponent.stride is not None:
        low, high = int(exponent.lo.min()), int(exponent.hi.max())
        if kind == "float64" and base == Const(2.0) and low >= -1022 and high <= 1023:
            return Text(f"power_of_two({operands[1].text})", kind)
        if low >= 0:
            bits = max(1, high.bit_length())
            left = number_of(cast(operands[0], kind), kind)
            return Text(f"integer_power({left.text}, {number_of(operands[1], 'int32').text}, {bits})", kind)
    texts = ", ".join(cast(operand, "float64").text for operand in operands)
    return Text(f"real_power({texts})", kind)


SPELLINGS: dict[str, Spelling] = {
    "add": _infix("+"),
    "sub": _infix("-"),
    "mul": _infix("*"),
    "div": lambda operands, kind: _infix("/")([cast(operand, "float64") for operand in operands], kind),
    "floordiv": _call("floor_divide", "floor_divide_reals"),
    "mod": _call("floor_modulo", "floor_modulo_reals"),
    "neg": lambda operands, kind: Text(f"-{number_of(cast(operands[0], kind), kind)}", kind, False),
    "abs": lambda operands, kind: _call("tl.abs")([number_of(operands[0], kind)], kind),
    "min": _call("tl.minimum"),
    "max": _call("tl.maximum"),
    "floor": _round("tl.floor"),
    "ceil": _round("tl.ceil"),
    "round": _round("round_half_even"),
    "int": _round(""),
    "real": lambda operands, kind: cast(operands[0], "float64"),
    "bit_length": lambda operands, kind: cast(
        Text(f"bit_length({number_of(operands[0], 'int32').text})", "int32"), kind
    ),
    "exp": _real_call("tl.exp"),
    "log2": _real_call("tl.log2"),
    "sqrt": _real_call("tl.sqrt"),
    "tanh": _real_call("hyperbolic_tangent"),
    "erf": _real_call("tl.erf"),
    "lt": _compare("<"),
    "le": _compare("<="),
    "gt": _compare(">"),
    "ge": _compare(">="),
    "eq": _compare("=="),
    "ne": _compare("!="),
    "and": _logic("&"),
    "or": _logic("|"),
    "not": lambda operands, kind: Text(f"~{operands[0]}", "int1", False),
    "select": _select,
}
"""How Triton spells each operator, from the printed operands and the type of the result; `pow` is above."""
