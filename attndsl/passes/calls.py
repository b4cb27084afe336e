"""Calls: which argument goes to which parameter, and what the built-in functions mean."""

from __future__ import annotations

import math

from attndsl.diagnostics import AttnTypeError
from attndsl.ir.expr import Const, Expr
from attndsl.passes import types
from attndsl.passes.scope import Value, Vector, unknown_name
from attndsl.source import Span
from attndsl.syntax import ast


def builtin(name: str, operands: list[types.Operand], span: Span | None) -> Value:
    """A built-in function; `clamp` and `ceildiv` are spelled out in simpler operators."""

    def apply(op: str, *values: types.Operand) -> types.Operand:
        return types.apply(op, name, list(values), span), span

    match name, operands:
        case "clamp", [x, low, high]:
            return apply("min", apply("max", x, low), high)[0]
        case "ceildiv", [x, y]:
            return apply("neg", apply("floordiv", apply("neg", x), y))[0]
        case "log", [x]:
            return apply("mul", apply("log2", x), (Const(math.log(2)), None))[0]
        case (("min" | "max"), [first, *rest]):
            for other in rest:
                first = apply(name, first, other)
            return first[0]
    return apply(name, *operands)[0]


def match_arguments(function: ast.Function, call: ast.Call) -> dict[str, ast.Expr]:
    """The argument expression of each parameter that the call gives."""
    names = [parameter.name for parameter in function.parameters]
    given: dict[str, ast.Expr] = {}
    for position, argument in enumerate(call.arguments):
        if argument.name is None and position >= len(names):
            raise _call_error("A0317", function, f"takes at most {len(names)} arguments", argument.span)
        name = argument.name or names[position]
        if name not in names:
            raise unknown_name(f"parameter of `{function.name}`:", name, names, argument.span, "A0210")
        if name in given:
            raise _call_error("A0318", function, f"is given `{name}` twice", argument.span)
        given[name] = argument.value
    for parameter in function.parameters:
        if parameter.name not in given and parameter.default is None:
            raise _call_error("A0319", function, f"needs `{parameter.name}`", call.span)
    return given


def _call_error(code: str, function: ast.Function, problem: str, span: Span | None) -> AttnTypeError:
    parameters = ", ".join(
        parameter.name if parameter.default is None else f"{parameter.name} = ..."
        for parameter in function.parameters
    )
    return AttnTypeError(
        code,
        f"`{function.name}` {problem}",
        span=span,
        help=f"its parameters are `{function.name}({parameters})`",
    )


def fit(parameter: ast.Parameter, value: Value, span: Span | None) -> Value:
    """An argument in the type its parameter declares; scalars apply to every element."""
    declared = parameter.type
    if declared is None:
        return value
    kind = value.kind if isinstance(value, Vector) else value.type
    if (kind == "bool") != (declared.kind == "bool") or (kind == "real" and declared.kind == "int"):
        raise AttnTypeError(
            "A0320",
            f"`{parameter.name}` must be {types.WORDS.get(declared.kind, declared.kind)}",
            span=span,
            note=f"this is {types.WORDS[kind]}",
            help=f"`{parameter.name}` is declared as `{declared.kind}`",
        )
    if not declared.shape:
        return types.scalar(value, f"`{parameter.name}`", span)
    if isinstance(value, Expr):
        return Vector(declared.plain_shape[0], kind, lambda index: value)
    if "heads" in {value.shape, declared.plain_shape[0]} and value.shape != declared.plain_shape[0]:
        raise AttnTypeError(
            "A0321",
            f"`{parameter.name}` needs a value {types.describe_shape(declared.plain_shape[0])}",
            span=span,
            note=f"this has a value {types.describe_shape(value.shape)}",
            help="pass a parameter of the same shape, or one number for all",
        )
    return value
