"""Resolution of what a pattern does with queries and keys themselves: feature maps, scales, and decays."""

from __future__ import annotations

import math
from dataclasses import replace

from attndsl.diagnostics import AttnTypeError
from attndsl.ir.expr import (
    CHANNEL,
    CHANNEL_SOFTMAX,
    Apply,
    Const,
    Expr,
    Head,
    HeadDim,
    InputElement,
    Symbol,
    WholeInput,
)
from attndsl.ir.factors import LogOfFactor
from attndsl.ir.pattern import Decay, Input
from attndsl.ir.reads import inputs_read
from attndsl.passes.clause_values import number, refuse_tokens, with_whole_inputs
from attndsl.passes.resolve_expr import Resolver
from attndsl.passes.scope import Scope, unknown_name
from attndsl.source import Span
from attndsl.syntax import ast

PER_STEP = {"query", "tokens", "heads", "dim"}
"""What an input that a decay reads may run over."""


def scale(clause: ast.Scale, resolver: Resolver, scope: Scope) -> Expr:
    """The meaning of `scale`; `dim` is the number of channels."""
    inner = replace(scope, values={**scope.values, "dim": HeadDim()})
    value = number(resolver.expr(clause.value, inner), "`scale`", clause.value.span)
    refuse_tokens(value, "a scale", resolver, clause.value.span)
    speaks_of_heads = Head() in value.leaves or Symbol("kv_head", "int") in value.leaves
    if speaks_of_heads or any(isinstance(node, InputElement) for node in value.mentioned):
        raise AttnTypeError(
            "A0330", "a scale is one number for all pairs and heads", span=clause.value.span,
            help="use numbers, parameters, `heads` and `dim`; scores can read inputs: `score s * t[head]`",
        )  # fmt: skip
    return value


def feature(clause: ast.Feature, resolver: Resolver, scope: Scope) -> Expr | None:
    """The meaning of `feature`: a function by name, or by a parameter that has names to choose from."""
    choices = resolver.choices.get(clause.name)
    if choices is None:
        return _or_none(_feature(clause.name, clause.span, resolver, scope))
    values = [_feature(name, clause.span, resolver, scope) for name in choices]
    result = values[-1]
    for place in range(len(values) - 2, -1, -1):
        chosen = Apply("eq", (Symbol(clause.name, "int"), Const(place)))
        result = Apply("select", (chosen, values[place], result))
    return _or_none(result)


def _or_none(value: Expr) -> Expr | None:
    return None if value is CHANNEL else value


def _feature(name: str, span: Span | None, resolver: Resolver, scope: Scope) -> Expr:
    if name == "softmax" and name not in resolver.functions:
        return CHANNEL_SOFTMAX
    if name not in resolver.functions:
        raise unknown_name("feature map", name, [*resolver.functions, "softmax"], span, "A0218")
    argument = ast.Argument(None, ast.Name("channel", span=span), span=span)
    inner = replace(scope, values={**scope.values, "channel": CHANNEL})
    value = resolver.expr(ast.Call(name, (argument,), span=span), inner)
    return number(value, f"feature map `{name}`", span)


def decay(clause: ast.Decay, resolver: Resolver, scope: Scope) -> Decay:
    """The meaning of `decay`: an input's name alone stands for its element at the step, head and channel."""
    axes = resolver.axes("q")
    if clause.axis not in axes or clause.axis not in resolver.axes("k"):
        raise unknown_name("axis", clause.axis, axes, clause.span, "A0203")
    inner = with_whole_inputs(resolver, scope)
    value = number(resolver.expr(clause.value, inner), "`decay`", clause.value.span)
    refuse_tokens(value, "a decay", resolver, clause.value.span)
    for leaf in value.leaves:
        if isinstance(leaf, WholeInput):
            _check_input(resolver.inputs[leaf.name], resolver.spans.get(leaf, clause.value.span))
    _check_axis(clause, value, resolver)
    return Decay(_logarithm(value), clause.axis, clause.value.span)


def _check_input(declared: Input, span: Span | None) -> None:
    if not set(declared.shape) <= PER_STEP:
        raise AttnTypeError(
            "A0327", f"a decay cannot read `{declared.name}` step by step", span=span,
            note="a decay has one factor per token, head and channel of keys",
            help="declare it over some of `tokens`, `heads` and `dim`",
        )  # fmt: skip


def _check_axis(clause: ast.Decay, value: Expr, resolver: Resolver) -> None:
    """The axis must exist for all tokens; a decay that differs between tokens needs it to be the only one."""
    spaces = (*resolver.spaces["q"], *resolver.spaces["k"])
    if any(clause.axis not in segment.axes for segment in spaces):
        raise AttnTypeError(
            "A0328", f"not every token has a coordinate `{clause.axis}`", span=clause.span,
            help="decays are about all tokens: use a space without further segments",
        )  # fmt: skip
    tokens = {each.name for each in resolver.inputs.values() if {"tokens", "query"} & set(each.shape)}
    reads = {leaf.name for leaf in value.leaves if isinstance(leaf, WholeInput)}
    if tokens & reads and any(len(segment.axes) > 1 for segment in spaces):
        raise AttnTypeError(
            "A0328", "a decay that differs between tokens needs a space of one axis", span=clause.value.span,
            help="declare the input over `heads` alone, or write the space as `space tokens(n)`",
        )  # fmt: skip


def _logarithm(value: Expr) -> Expr:
    """log(value); `exp(x)`, `sigmoid(x)`, products and powers are taken apart, so that none rounds to 0."""
    inside = _of_sigmoid(value)
    if inside is not None:
        small = Apply("add", (Const(1.0), Apply("exp", (Apply("neg", (Apply("abs", (inside,)),)),))))
        return Apply("sub", (Apply("min", (inside, Const(0.0))), _log(small)))
    match value:
        case Apply("exp", (exponent,)):
            return _real(exponent)
        case Apply("mul", (first, second)) if _is_positive(first) or _is_positive(second):
            return Apply("add", (_logarithm(first), _logarithm(second)))
        case Apply("pow", (base, exponent)) if _is_positive(base):
            return Apply("mul", (_real(exponent), _logarithm(base)))
    if inputs_read(value):
        return LogOfFactor(_real(value))
    return _log(value)


def _log(value: Expr) -> Expr:
    return Apply("mul", (Apply("log2", (value,)), Const(math.log(2))))


def _real(value: Expr) -> Expr:
    return Apply("real", (value,)) if value.type == "int" else value


def _is_positive(value: Expr) -> bool:
    match value:
        case Const(number):
            return number > 0
        case Apply("exp"):
            return True
    return _of_sigmoid(value) is not None


def _of_sigmoid(value: Expr) -> Expr | None:
    """The x of the prelude's `sigmoid(x)`, 0.5 + 0.5 * tanh(0.5 * x)."""
    match value:
        case Apply("add", (Const(0.5), Apply("mul", (Const(0.5), Apply("tanh", (inside,)))))):
            if isinstance(inside, Apply) and inside.op == "mul" and inside.args[0] is Const(0.5):
                return inside.args[1]
    return None
