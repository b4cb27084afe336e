"""Tracing a function: from Python code to a syntax tree, and through resolution to pattern IR."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attndsl.diagnostics import AttnError, AttnTraceError
from attndsl.ir.pattern import PatternIR
from attndsl.library import resolve_tree
from attndsl.passes.resolve import RESERVED
from attndsl.passes.scope import BUILTIN_SYMBOLS
from attndsl.syntax import ast as syntax
from attndsl.trace.emit import Emitter, in_order, is_name
from attndsl.trace.positions import Position
from attndsl.trace.result import clauses_of
from attndsl.trace.result_branches import Clause
from attndsl.trace.session import Requirement, tracing
from attndsl.trace.signature import Signature, read_signature
from attndsl.trace.spaces import read_space, space_by_use
from attndsl.trace.spelling import in_python
from attndsl.trace.subject import Subject, subject


@dataclass(frozen=True)
class TracedFunction:
    """The outcome of a trace: the pattern as a syntax tree, and resolved."""

    tree: syntax.Pattern
    ir: PatternIR


def trace(
    function: Callable[..., Any],
    spaces: Mapping[str, object],
    name: str | None,
    names: Mapping[str, Any],
) -> TracedFunction:
    """Call the function once with traced values, and resolve what it did.

    spaces: `space`, or `query_space` and `key_space`, as texts. name: the pattern's, else the function's.
    names: what annotations may speak of besides the function's globals.
    """
    traced = subject(function)
    signature = read_signature(traced, names)
    with tracing() as session:
        result = function(Position("q"), Position("k"), *signature.positional, **signature.values)
    clauses = [*map(_require, session.requirements), *clauses_of(result, traced)]
    _refuse_open_axes(clauses)
    tree = _pattern(traced, signature, spaces, clauses, name)
    try:
        return TracedFunction(tree, resolve_tree(syntax.File("", (tree,)))[0])
    except AttnError as error:
        raise in_python(error) from None


def _require(requirement: Requirement) -> Clause:
    message, span = requirement.message, requirement.span
    return Clause((requirement.condition,), lambda value: syntax.Require(value, message, span=span))


def _pattern(
    traced: Subject,
    signature: Signature,
    spaces: Mapping[str, object],
    clauses: list[Clause],
    name: str | None,
) -> syntax.Pattern:
    declared = [read_space(each, text, traced) for each, text in spaces.items()]
    roots = [value.node for clause in clauses for value in clause.values]
    blocks = {name for clause in clauses for name in clause.blocks}
    used = [node.reads for node in in_order(roots) if node.reads and node.reads not in blocks]
    declared = declared or [space_by_use(used, traced)]
    axes = [axis for space in declared for segment in space.segments for axis in segment.axes]
    parameters = [*(each.name for each in signature.parameters), *(each.name for each in signature.inputs)]
    _refuse_axis_names(traced, parameters, axes)
    emitter = Emitter(roots, {*RESERVED, *BUILTIN_SYMBOLS, *parameters, *axes, *blocks}, local=blocks)
    body = [clause.emit(emitter) for clause in clauses]
    return syntax.Pattern(
        _name(traced, name),
        tuple(signature.parameters),
        inspect.cleandoc(traced.function.__doc__ or ""),
        (*declared, *signature.inputs, *emitter.lets, *body),
        span=traced.span,
    )


def _refuse_open_axes(clauses: list[Clause]) -> None:
    for clause in clauses:
        for value in clause.values:
            if value.node.axes:
                raise AttnTraceError(
                    "A1008",
                    "this uses the axis of a quantifier outside of it",
                    span=value.node.span or value.span,
                    help="use the axis only inside `all_axes(lambda a: ...)` or `any_axes(lambda a: ...)`",
                )


def _refuse_axis_names(traced: Subject, parameters: Sequence[str], axes: Sequence[str]) -> None:
    """Inside brackets a name is that of an axis first, which must not take the place of a parameter."""
    for name in parameters:
        if name in axes:
            raise AttnTraceError(
                "A1002",
                f"parameter `{name}` has the name of an axis",
                span=traced.parameter_span(name),
                help="choose another name",
            )


def _name(traced: Subject, name: str | None) -> str:
    """The pattern's name: as given, or the function's; a lambda has none."""
    chosen = name or ("unnamed" if traced.name == "<lambda>" else traced.name)
    if not is_name(chosen):
        raise AttnTraceError(
            "A1002",
            f"`{chosen}` cannot be the name of a pattern",
            span=traced.span,
            help='choose another: `@attndsl.jit(name="...")`',
        )
    return chosen
