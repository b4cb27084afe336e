"""What a traced function returns: a condition, one condition per pair of segments, or an `Attention`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from attndsl.diagnostics import AttnTraceError
from attndsl.source import Span
from attndsl.syntax import ast as syntax
from attndsl.trace.node import Node, Operand, leaf
from attndsl.trace.result_branches import (
    BlockSizes,
    Clause,
    OfOutputs,
    branch_clauses,
    check,
    clauses_around,
)
from attndsl.trace.result_route import Route, route_clause
from attndsl.trace.subject import Subject
from attndsl.trace.value import Number, Traced, operand

Condition = Traced | bool
Arms = Mapping[str, Condition]
OfScore = Callable[[Traced], Number]


@dataclass(frozen=True, eq=False)
class Attention:
    """A mask with weights, as a traced function returns it.

    attend: the condition, or one per pair of segments. score: the score as a function of the scaled
    product. weight: the weight as a function of the score, exp if left out. decay: a factor per step of
    an axis, by the axis's name. normalize: 'none' leaves out the division by the sum of the weights.
    sink: a logit that is added to that sum as exp(sink). gate: what the output is multiplied by. scale:
    of products, over `attndsl.lang.dim`. feature: the name of the feature map of queries and keys, or a
    parameter that chooses. route: which keys are chosen from the data. blocks: by name, the axis (or
    axes) that they cut and the tokens of one: `{"b": ("n", 64)}`. query, key, value: what a tensor is
    made of, as the text `mean(k in b)`. branches: by name, in place of attend. combine: a function of
    the outputs of branches, by their names.
    """

    attend: Condition | Arms = True
    score: OfScore | None = None
    weight: OfScore | None = None
    decay: Mapping[str, Number] | None = None
    normalize: Literal["sum", "none", "flow"] = "sum"
    sink: Number | None = None
    gate: Number | None = None
    scale: Number | None = None
    feature: str | None = None
    route: Route | None = None
    blocks: Mapping[str, BlockSizes] | None = None
    query: str | None = None
    key: str | None = None
    value: str | None = None
    branches: Mapping[str, Attention | Condition | Arms] | None = None
    combine: OfOutputs | None = None


def clauses_of(result: object, subject: Subject) -> list[Clause]:
    """The clauses of what a function returned. Raises AttnTraceError A1003 for what is no such thing."""
    span = _return_span(subject)
    if not isinstance(result, Attention):
        return [_attend(result, subject, span)]
    _check_weights(result, span)
    check(result, span)
    around = [*clauses_around(result, span)]
    if result.branches is None or result.attend is not True:
        around.append(_attend(result.attend, subject, span))
    if result.route is not None:
        around.append(route_clause(result.route, span))
    branches = branch_clauses(result, span, lambda each: clauses_of(each, subject))
    return [*around, *_weights(result, span), *branches]


def _check_weights(result: Attention, span: Span) -> None:
    """`score` and `weight` are functions, `decay` is a dict, which Python does not check."""
    right = {
        "score": (result.score is None or callable(result.score), "score=lambda s: s - distance"),
        "weight": (result.weight is None or callable(result.weight), "weight=lambda s: attndsl.lang.exp(s)"),
        "feature": (result.feature is None or isinstance(result.feature, str), 'feature="elu1"'),
        "decay": (result.decay is None or isinstance(result.decay, Mapping), 'decay={"n": factor}'),
    }
    for name, (fits, example) in right.items():
        if not fits:
            raise AttnTraceError(
                "A1003",
                f"`{name}` of an `Attention` is not what it should be",
                span=span,
                help=f"write `{example}`",
            )


def _weights(result: Attention, span: Span) -> Iterator[Clause]:
    s = Traced(leaf("s", has_scope=True))
    if result.scale is not None:
        yield _clause(result.scale, span, lambda value: syntax.Scale(value, span=span))
    if result.feature is not None:
        name = result.feature
        yield Clause((), lambda: syntax.Feature(name, span=span))
    if result.score is not None:
        yield _clause(result.score(s), span, lambda value: syntax.Score(value, span=span))
    if result.weight is not None:
        yield _clause(result.weight(s), span, lambda value: syntax.Weight(value, span=span))
    if result.decay is not None:
        yield from (_decay(axis, factor, span) for axis, factor in result.decay.items())
    if result.normalize != "sum" or result.sink is not None:
        yield _normalize(result, span)
    if result.gate is not None:
        yield _clause(result.gate, span, lambda value: syntax.Gate(value, span=span))


def _clause(value: object, span: Span, build: Callable[..., syntax.Clause]) -> Clause:
    return Clause((operand(value, _own_span(value, span)),), build)


def _decay(axis: str, factor: Number, span: Span) -> Clause:
    return _clause(factor, span, lambda value: syntax.Decay(value, axis, span=span))


def _normalize(result: Attention, span: Span) -> Clause:
    kind = result.normalize
    if result.sink is None:
        return Clause((), lambda: syntax.Normalize(kind, span=span))
    logit = operand(result.sink, _own_span(result.sink, span))
    exponential = Node(
        lambda place, value: syntax.Call("exp", (syntax.Argument(None, value, span=place),), span=place),
        (logit,),
        logit.span,
    )
    return Clause((Operand(exponential),), lambda value: syntax.Normalize(kind, value, span=span))


def _attend(result: object, subject: Subject, span: Span) -> Clause:
    arms = result if isinstance(result, Mapping) else {"else": result}
    # `else` is written last, as in a text.
    names = sorted(arms, key=lambda name: name == "else")
    pairs = [_segments(name, span) for name in names]
    values = tuple(_condition(arms[name], subject, span) for name in names)

    def build(*conditions: syntax.Expr) -> syntax.Clause:
        made = [
            syntax.Arm(query, key, condition, span=condition.span)
            for (query, key), condition in zip(pairs, conditions, strict=True)
        ]
        return syntax.Attend(tuple(made), span=span)

    return Clause(values, build)


def _segments(name: object, span: Span) -> tuple[str | None, str | None]:
    if name == "else":
        return None, None
    parts = [part.strip() for part in name.split("->")] if isinstance(name, str) else []
    if len(parts) == 2 and all(parts):
        return parts[0], parts[1]
    raise AttnTraceError(
        "A1003",
        f"{name!r} names no pair of segments",
        span=span,
        help='write `{"video -> video": ..., "else": ...}`',
    )


def _condition(value: object, subject: Subject, span: Span) -> Operand:
    if isinstance(value, Traced | bool | np.bool_):
        return operand(value, _own_span(value, span))
    given = "nothing" if value is None else f"a value of type {type(value).__name__}"
    raise AttnTraceError(
        "A1003",
        f"`{subject.name}` returns {given} instead of a condition",
        span=span,
        help="return a condition such as `k.n <= q.n`, or a dict of them by pair of segments",
    )


def _own_span(value: object, span: Span) -> Span:
    """Where the value was made, if that is known."""
    made = value._node.span if isinstance(value, Traced) else None
    return made or span


def _return_span(subject: Subject) -> Span:
    """The value of the function's last `return`; its head where there is none."""
    if isinstance(subject.definition, ast.Lambda):
        return subject.python.span(subject.definition.body) or subject.span
    body = subject.definition.body if subject.definition else []
    values = [each.value for each in body if isinstance(each, ast.Return) and each.value]
    return (subject.python.span(values[-1]) if values else None) or subject.span
