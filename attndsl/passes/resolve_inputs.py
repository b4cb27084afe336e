"""Resolution of declared inputs: what each dimension of a tensor runs over."""

from __future__ import annotations

from typing import cast, get_args

from attndsl.diagnostics import AttnTypeError
from attndsl.ir.expr import Expr, FlatIndex, Head, InputAt, InputElement, Position
from attndsl.ir.ops import Scalar
from attndsl.ir.pattern import Input
from attndsl.passes import types
from attndsl.passes.resolve_expr import Resolver
from attndsl.passes.scope import Scope
from attndsl.source import Span
from attndsl.syntax import ast

NAMED = ("tokens", "query", "key", "heads", "kv_heads", "dim")
"""Dimensions with a meaning; any other name is a size that the caller chooses."""


def declared_input(clause: ast.Input, resolver: Resolver, scope: Scope) -> Input:
    """The meaning of `input name: kind[dimensions]`."""
    kind = kind_of(clause.type, clause.span)
    query, key = resolver.spaces["q"], resolver.spaces["k"]
    whole = {"tokens", query[0].name} if len(query) == 1 else {"tokens"}
    if query != key:
        whole = set()
    place = clause.type.span or clause.span
    shape = tuple(_dimension(each, whole, resolver, scope, place) for each in clause.type.shape)
    if not shape or ("tokens" in shape and not whole):
        choices = ["tokens", "query", "key"] if whole else ["query", "key"]
        raise AttnTypeError(
            "A0325",
            f"input `{clause.name}` must say what its dimensions run over",
            span=place,
            help=f"for one value per token write `{clause.name}: {clause.type.kind}[{choices[0]}]`;"
            f" other dimensions are {', '.join(f'`{each}`' for each in (*choices[1:], 'heads', 'dim'))}",
        )
    return Input(clause.name, kind, shape)


def _dimension(
    each: str | int | ast.Expr, whole: set[str], resolver: Resolver, scope: Scope, place: Span | None
) -> str | Expr:
    if isinstance(each, str) and each not in scope.values:
        return "tokens" if each in whole else each
    node = _expression(each, place)
    size = types.scalar(resolver.expr(node, scope), "a size", node.span)
    if size.type != "int" or any(isinstance(leaf, _TOKENS) for leaf in size.mentioned):
        raise AttnTypeError(
            "A0326", "the size of a dimension is an integer known at bind", span=node.span,
            help="use numbers, parameters and `extent(axis)`",
        )  # fmt: skip
    return size


def _expression(each: str | int | ast.Expr, place: Span | None) -> ast.Expr:
    """A dimension as an expression; names and numbers are blamed at the whole type."""
    if isinstance(each, str):
        return ast.Name(each, span=place)
    return ast.Number(each, span=place) if isinstance(each, int) else each


_TOKENS = (Position, FlatIndex, InputAt, InputElement, Head)


def kind_of(declared: ast.Type, span: Span | None) -> Scalar:
    """The scalar type of a declaration."""
    if declared.kind not in get_args(Scalar):
        raise AttnTypeError(
            "A0306",
            f"unknown type `{declared.kind}`",
            span=declared.span or span,
            help="use int, real or bool",
        )
    return cast(Scalar, declared.kind)
