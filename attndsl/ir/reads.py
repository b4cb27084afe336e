"""Which declared inputs a part of the IR reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from attndsl.ir.combine import Projected
from attndsl.ir.expr import Expr, InputAt, InputElement, LowRank, WholeInput
from attndsl.ir.route import InputVector


def inputs_read(*parts: object) -> frozenset[str]:
    """The names of the inputs that the expressions of these parts read: of IR nodes, or tuples of them."""
    nodes = {node for part in parts for root in _expressions(part) for node in root.mentioned}
    return frozenset(name for node in nodes for name in _names(node))


def _names(node: Expr) -> tuple[str, ...]:
    match node:
        case InputAt(name) | InputElement(name) | InputVector(name) | WholeInput(name):
            return (name,)
        case LowRank(query, key):
            return query, key
        case Projected(_, weight, bias):
            return (weight, bias) if bias else (weight,)
    return ()


def _expressions(part: object) -> Iterator[Expr]:
    """All expressions in dataclasses and tuples."""
    if isinstance(part, Expr):
        yield part
    elif isinstance(part, tuple):
        for each in part:
            yield from _expressions(each)
    elif is_dataclass(part):
        for each in fields(part):
            if each.compare:  # spans and documentation say nothing
                yield from _expressions(getattr(part, each.name))
