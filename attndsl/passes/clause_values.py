"""What values of clauses share: they are numbers, name no tokens, and read inputs by bare names."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from attndsl.diagnostics import AttnTypeError
from attndsl.ir.expr import Expr, FlatIndex, InputAt, InputElement, LowRank, Position, WholeInput
from attndsl.passes import types
from attndsl.passes.resolve_expr import Resolver
from attndsl.passes.scope import Scope, Value
from attndsl.source import Span


def with_whole_inputs(resolver: Resolver, scope: Scope) -> Scope:
    """The scope in which a bare input is its element at the token, head and channel at work."""
    whole: dict[str, Value] = {
        each.name: WholeInput(each.name, each.kind) for each in resolver.inputs.values()
    }
    return replace(scope, values={**scope.values, **whole})


def number(value: object, what: str, span: Span | None) -> Expr:
    """The value, if it is a single number."""
    single = types.scalar(cast(Expr, value), what, span)
    if single.type == "bool":
        raise AttnTypeError(
            "A0301", f"{what} needs a number", span=span, note="this is a truth value",
            help="write `1.0 if condition else 0.0`; which pairs are visible is for `attend` to say",
        )  # fmt: skip
    return single


def refuse_tokens(value: Expr, what: str, resolver: Resolver, span: Span | None) -> None:
    """Refuse an expression that speaks of positions with A0324."""
    for node in value.mentioned:
        if isinstance(node, Position | FlatIndex | InputAt | LowRank) or (
            isinstance(node, InputElement) and any(isinstance(i, FlatIndex) for i in node.indices)
        ):
            raise AttnTypeError(
                "A0324", f"{what} cannot speak of positions", span=resolver.spans.get(node, span),
                help="use declared inputs, parameters and `head`",
            )  # fmt: skip
