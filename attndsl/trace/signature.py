"""The signature of a traced function: pattern parameters and inputs, and the values it is called with."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from attndsl.diagnostics import AttnError, AttnTraceError
from attndsl.passes.scope import BUILTIN_SYMBOLS
from attndsl.syntax import ast as syntax
from attndsl.trace.annotations import SCALARS, choices, input_type, parameter_type
from attndsl.trace.emit import Emitter, is_name
from attndsl.trace.node import leaf
from attndsl.trace.subject import Subject
from attndsl.trace.value import Traced, operand

TYPES = (
    "write `int`, `float`, `bool`, `tuple[int, int]`, `attndsl.PerAxis[int]`, `attndsl.PerHead[float]`, "
    "`attndsl.Input[int]` or `Literal['elu1', 'relu']`"
)
VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass
class Signature:
    """What a function takes. values: what it is called with after the two positions; a choice is its name."""

    parameters: list[syntax.Parameter] = field(default_factory=list)
    inputs: list[syntax.Input] = field(default_factory=list)
    values: dict[str, Traced | str] = field(default_factory=dict)
    positional: list[Traced] = field(default_factory=list)


def read_signature(subject: Subject, names: Mapping[str, Any]) -> Signature:
    """The signature. names: what annotations may speak of besides the function's globals.

    Raises AttnTraceError A1001 where the positions are missing, A1002 for a parameter that bind cannot take.
    """
    parameters = list(inspect.signature(subject.function).parameters.values())
    positions, others = parameters[:2], parameters[2:]
    if len(positions) < 2 or any(each.kind not in POSITIONAL for each in positions):
        raise AttnTraceError(
            "A1001",
            f"`{subject.name}` must take the positions of a query and a key first",
            span=subject.span,
            help=f"write `def {subject.name if is_name(subject.name) else 'pattern'}(q, k, ...)`",
        )
    result = Signature()
    for parameter in others:
        _add(parameter, result, subject, names)
    return result


def _add(parameter: inspect.Parameter, result: Signature, subject: Subject, names: Mapping[str, Any]) -> None:
    name, span = parameter.name, subject.parameter_span(parameter.name)
    if parameter.kind in VARIABLE or not is_name(name):
        raise AttnTraceError(
            "A1002", f"`{name}` cannot be the parameter of a pattern", span=span,
            help="give each parameter a name of letters, digits and `_` that is no word of the language",
        )  # fmt: skip
    if name in BUILTIN_SYMBOLS:
        raise AttnTraceError(
            "A1002", f"`{name}` is no parameter of a pattern", span=span, help=f"read `attndsl.lang.{name}`"
        )
    annotation = _annotation(parameter, subject, names)
    if names_to_choose := choices(annotation):
        type_ = syntax.Type("choice", choices=names_to_choose, span=span)
        default = None if parameter.default is inspect.Parameter.empty else syntax.Name(parameter.default)
        result.parameters.append(syntax.Parameter(name, type_, default, span=span))
        result.values[name] = name
        return
    declared, data = parameter_type(annotation), _input(annotation, name, subject)
    if declared is None and data is None:
        problem = "has no type" if annotation is None else "has a type that parameters cannot have"
        raise AttnTraceError("A1002", f"parameter `{name}` {problem}", span=span, help=TYPES)
    length = declared[1] if declared and isinstance(declared[1], int) else None
    value = Traced(leaf(name, has_scope=data is not None), length)
    if data is not None:
        result.inputs.append(syntax.Input(name, replace(data, span=span), span=span))
    elif declared is not None:
        kind, shape = declared
        type_ = syntax.Type(kind, () if shape is None else (shape,), span=span)
        result.parameters.append(syntax.Parameter(name, type_, _default(parameter, subject), span=span))
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        result.positional.append(value)
    else:
        result.values[name] = value


def _annotation(parameter: inspect.Parameter, subject: Subject, names: Mapping[str, Any]) -> object:
    """The annotation as an object; without one, the type of the default."""
    if parameter.annotation is inspect.Parameter.empty:
        return type(parameter.default) if type(parameter.default) in SCALARS else None
    annotation = parameter.annotation
    try:
        while isinstance(annotation, str):
            closure = inspect.getclosurevars(subject.function).nonlocals
            annotation = eval(annotation, subject.function.__globals__, {**names, **closure})
        return annotation
    except Exception as error:
        raise AttnTraceError(
            "A1002",
            f"the annotation of `{parameter.name}` cannot be read: {error}",
            span=subject.parameter_span(parameter.name),
            help=TYPES,
        ) from None


def _input(annotation: object, name: str, subject: Subject) -> syntax.Type | None:
    try:
        return input_type(annotation)
    except AttnError as error:
        raise AttnTraceError(
            "A1002", f"input `{name}` has a type that inputs cannot have: {error.message}",
            span=subject.parameter_span(name),
            help='write `Input[int]` or `Input[float, Literal["query"]]`',
        ) from None  # fmt: skip


def _default(parameter: inspect.Parameter, subject: Subject) -> syntax.Expr | None:
    if parameter.default is inspect.Parameter.empty:
        return None
    span = subject.default_span(parameter.name)
    if isinstance(parameter.default, tuple | list):
        raise AttnTraceError(
            "A1002",
            f"the default of `{parameter.name}` must be one number, which stands for all elements",
            span=span,
            help="write one number, or leave the default out and give the numbers to `bind`",
        )
    use = operand(parameter.default, span)
    return Emitter([use.node], (), lets=False).expr(use)
