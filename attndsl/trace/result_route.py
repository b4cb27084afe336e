"""The route of a traced function: the fields of a `Route` become the phrases of the clause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attndsl.diagnostics import AttnTraceError
from attndsl.source import Span
from attndsl.syntax import ast as syntax
from attndsl.trace.node import Operand
from attndsl.trace.result_branches import Clause
from attndsl.trace.value import Number, Traced, operand

Condition = Traced | bool
WORDS = ("score", "among", "select", "prefer", "always")
"""The phrases, in the order of a text."""


@dataclass(frozen=True, eq=False)
class Route:
    """How keys are chosen from the data, as a field of an `Attention`.

    score: of an entry, a row for each query or block of queries and a column for each key or block of keys.
    select: a rule of `attndsl.lang`, such as `lang.top(4)`. per: which entries compete: 'query', the name of
    blocks of queries, 'head', 'all', or a parameter that chooses. among: the entries that take part. prefer:
    those that are kept first, and count. always: those that are kept beside the selection.
    """

    score: Number
    select: Traced
    per: str | Sequence[str]
    among: Condition | None = None
    prefer: Condition | None = None
    always: Condition | None = None


def route_clause(route: object, span: Span) -> Clause:
    """The clause of a route. Raises AttnTraceError A1003 for what is none."""
    if not isinstance(route, Route):
        raise AttnTraceError(
            "A1003", "`route` of an `Attention` is not what it should be", span=span,
            help='write `route=attndsl.Route(score=..., select=attndsl.lang.top(4), per="query")`',
        )  # fmt: skip
    per = _pools(route.per, span)
    words = [word for word in WORDS if getattr(route, word) is not None]
    values = tuple(_phrase(route, word, span) for word in words)

    def build(*found: syntax.Expr) -> syntax.Clause:
        steps = (
            syntax.RouteStep(word, value, per if word == "select" else (), span=value.span or span)
            for word, value in zip(words, found, strict=True)
        )
        return syntax.Route(tuple(steps), span=span)

    return Clause(values, build)


def _phrase(route: Route, word: str, span: Span) -> Operand:
    value = getattr(route, word)
    if word == "select" and not isinstance(value, Traced):
        raise AttnTraceError(
            "A1003", "`select` of a `Route` is not what it should be", span=span,
            help="write a rule of `attndsl.lang`, such as `select=attndsl.lang.top(4)`",
        )  # fmt: skip
    made = value._node.span if isinstance(value, Traced) else None
    return operand(value, made or span)


def _pools(per: object, span: Span) -> tuple[str, ...]:
    names = (per,) if isinstance(per, str) else per
    if isinstance(names, Sequence) and names and all(isinstance(each, str) for each in names):
        return tuple(name.strip() for each in names for name in each.split(","))
    raise AttnTraceError(
        "A1003", "`per` of a `Route` is not what it should be", span=span,
        help='write `per="query"`, `per="head"`, `per="all"`, or the name of blocks of queries',
    )  # fmt: skip
