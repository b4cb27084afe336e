"""The words of routes for Python functions: pools, probabilities, and the rules that select.

What they make has a meaning in a route (a few in a gate) and nowhere else, so none of it becomes a let.
`attndsl.lang` has them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attndsl.diagnostics import AttnTraceError
from attndsl.source import Span
from attndsl.syntax import ast as syntax
from attndsl.trace.node import Node, Operand, checked, leaf
from attndsl.trace.place import here
from attndsl.trace.value import Number, Traced, operand

Condition = bool | Traced
Within = str | Traced | bool
"""Blocks by name, `heads` or `kv_head`; blocks of one side, `k.b`; a condition; or an integer, `chunk[k]`."""

v: Traced = Traced(leaf("v", has_scope=True))
"""In a route: the vector of each key's value, as `q` and `k` are those of queries and keys."""
scale: Traced = Traced(leaf("scale", has_scope=True))
"""In a route: what products of queries and keys are multiplied by in the attention itself."""


def routing_call(function: str, arguments: tuple[Any, ...], within: Within | None = None) -> Traced:
    """A call whose first argument may be taken `within` something: `mean(k in b)`."""
    place = here()
    spans = place.argument_spans(len(arguments))
    operands = [operand(value, span) for value, span in zip(arguments, spans, strict=True)]
    if within is not None:
        operands.append(_group(within, place.argument_span("within")))

    def build(span: Span | None, *values: syntax.Expr) -> syntax.Expr:
        given = list(values)
        if within is not None:
            group = given.pop()
            given[0] = syntax.Binary("in", given[0], group, span=given[0].span)
        return syntax.Call(
            function, tuple(syntax.Argument(None, each, span=each.span) for each in given), span=span
        )

    return Traced(checked(Node(build, tuple(operands), place.span, has_scope=True)))


def _group(within: Within, span: Span) -> Operand:
    if not isinstance(within, str):
        return operand(within, span)
    if not within.isidentifier():
        raise AttnTraceError(
            "A1004", f"`within` is a name or a traced value, {within!r} given", span=span,
            help='write `within="b"` for blocks on both sides, `within=k.b` for one, or a condition',
        )  # fmt: skip
    return Operand(leaf(within), span)


def mean(x: Number, *, within: Within | None = None) -> Traced:
    """The mean of each block, or of all tokens: `mean(k, within="b")` is `mean(k in b)`."""
    return routing_call("mean", (x,), within)


def sum(x: Number, *, within: Within) -> Traced:
    """The sum of each block, over heads, or where a condition holds."""
    return routing_call("sum", (x,), within)


def stack(x: Number, *, within: Within) -> Traced:
    """The channels of all tokens of a block in a row, from the first token on."""
    return routing_call("stack", (x,), within)


def stack_reversed(x: Number, *, within: Within) -> Traced:
    """The channels of all tokens of a block in a row, from the last token on."""
    return routing_call("stack_reversed", (x,), within)


def similarity(x: Number, *, within: Within) -> Traced:
    """The mean cosine similarity of all pairs of tokens of a block."""
    return routing_call("similarity", (x,), within)


def softmax(x: Number, condition: Condition | None = None, *, within: Within | None = None) -> Traced:
    """Probabilities over keys, or over those for which the condition holds; in a gate `within="heads"`."""
    return routing_call("softmax", (x,) if condition is None else (x, condition), within)


def top(x: Number, *arguments: Number, within: Within | None = None) -> Traced:
    """The rule that keeps the x largest.

    With `within`, whether that integer of a key or pair is among the n largest sums of x: `top(x, n,
    within=k.n)`; in a gate, whether the head is among the n largest: `top(x, n, within="heads")`.
    """
    return routing_call("top", (x, *arguments), within)


def _rule(name: str, documentation: str) -> Callable[..., Traced]:
    def rule(*arguments: Number) -> Traced:
        return routing_call(name, arguments)

    rule.__name__ = rule.__qualname__ = name
    rule.__doc__ = documentation
    return rule


ranks = _rule("ranks", "Keeps those from rank `first` up to `last`: `ranks(first, last)`.")
ratio = _rule("ratio", "Keeps a part of the entries: `ratio(part)`, `ratio(part, least)`.")
drop = _rule("drop", "Drops a part of the entries: `drop(part)`.")
threshold = _rule("threshold", "Keeps what reaches a number: `threshold(t)`, `threshold(t, least)`.")
nucleus = _rule("nucleus", "Keeps the fewest largest that hold a part of the sum: `nucleus(p)`.")
within = _rule("within", "Keeps the most largest that hold no more than a part of the sum: `within(p)`.")
spread = _rule("spread", "As `nucleus`, of scores that are moved and scaled to run from 0 to 1: `spread(p)`.")
halves = _rule("halves", "Keeps what a search by halves of n groups finds: `halves(n)`.")
