"""Pattern IR as JSON and back: the form in which a checked `.attn` file is kept between processes.

The text holds one table of expressions, each after those that it is made of, so that shared expressions are
written once, and a value whose fields refer to the table by number. Reading builds nodes of the IR and
nothing else: whatever a file says, no code of it runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from attndsl.ir import (
    blocks,
    combine,
    derived,
    expr,
    factors,
    groups,
    head_choice,
    pattern,
    route,
    route_groups,
)
from attndsl.ir.expr import Expr, topological
from attndsl.source import Source, Span

NODES: Mapping[str, type] = {
    name: kind
    for module in (expr, combine, blocks, derived, route, route_groups, groups, head_choice, factors, pattern)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and is_dataclass(kind) and kind.__module__ == module.__name__
}
"""The classes that a stored text may name."""


def to_json(value: object, sources: Sequence[Source]) -> str:
    """The text of a value made of IR nodes, tuples, numbers, strings and None.

    sources: all sources that spans point into; their texts are not stored. Raises ValueError for a span of
    any other source.
    """
    writer = _Writer(sources)
    stored = writer.value(value)
    return json.dumps([writer.table, stored], separators=(",", ":"))


def from_json(text: str, sources: Sequence[Source]) -> Any:
    """The value that `to_json` wrote, its spans pointing into `sources`, which come in the same order.

    Raises ValueError, KeyError, IndexError, TypeError or AttributeError for a text that `to_json` did not
    write.
    """
    table, value = json.loads(text)
    reader = _Reader(sources)
    for row in table:
        reader.table.append(reader.node(row))
    return reader.value(value)


class _Writer:
    """Numbers the expressions; `value` gives the JSON form of anything."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = list(sources)
        self.table: list[object] = []
        self.numbers: dict[Expr, int] = {}

    def value(self, item: Any) -> object:
        match item:
            case None | bool() | int() | float() | str():
                return item
            case tuple():
                return [self.value(each) for each in item]
            case Expr():
                return {"e": self._number(item)}
            case Span():
                return {"s": [self.sources.index(item.source), item.start, item.end]}
            case Mapping():
                return {"m": [[self.value(key), self.value(each)] for key, each in item.items()]}
        return {"n": self._node(item)}

    def _number(self, root: Expr) -> int:
        """The row of an expression; operands get theirs first, so that no expression is too deep."""
        if root not in self.numbers:
            for node in topological(root):
                if node not in self.numbers:
                    row = self._node(node)
                    self.numbers[node] = len(self.table)
                    self.table.append(row)
        return self.numbers[root]

    def _node(self, item: Any) -> list[object]:
        name = type(item).__name__
        if name not in NODES:
            raise ValueError(f"{name} is not part of the pattern IR")
        return [name, *(self.value(getattr(item, each.name)) for each in fields(item))]


class _Reader:
    """The expressions read so far; `value` is the inverse of the writer's."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources
        self.table: list[Any] = []

    def value(self, stored: Any) -> Any:
        if isinstance(stored, list):
            return tuple([self.value(each) for each in stored])
        if not isinstance(stored, dict):
            return stored
        ((form, content),) = stored.items()
        match form:
            case "e":
                return self.table[content]
            case "s":
                source, start, end = content
                return Span(self.sources[source], start, end)
            case "m":
                return {self.value(key): self.value(each) for key, each in content}
            case "n":
                return self.node(content)
        raise ValueError(f"{form!r} is no form of a stored value")

    def node(self, row: Any) -> Any:
        name, *values = row
        return NODES[name](*map(self.value, values))
