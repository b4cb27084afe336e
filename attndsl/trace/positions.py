"""Positions and axes: the query and the key of a traced function, and the axis that a quantifier is at."""

from __future__ import annotations

from typing import Any

from attndsl.diagnostics import AttnTraceError
from attndsl.source import Span
from attndsl.syntax import ast as syntax
from attndsl.trace.node import Node, Operand, leaf
from attndsl.trace.place import here
from attndsl.trace.value import Traced


class Position(Traced):
    """The query or the key. Its attributes are its coordinates: `q.n`, `q.frame`, and `q.index`.

    `q[a]` is the coordinate on the axis `a` of a quantifier, or on the axis of that name.
    """

    __slots__ = ("_side",)

    def __init__(self, side: str) -> None:
        super().__init__(leaf(side))
        self._side = side

    def __getattr__(self, name: str) -> Traced:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._coordinate(name, here().span)

    def __getitem__(self, index: Any) -> Traced:
        place = here()
        if isinstance(index, str):
            return self._coordinate(index, place.span)
        if not isinstance(index, Axis):
            raise AttnTraceError(
                "A1004",
                "a position is read at an axis",
                span=place.span,
                help="write `q.n` for a named axis, `q[a]` inside `all_axes(lambda a: ...)`",
            )
        side = self._side

        def build(span: Span | None, axis: syntax.Name) -> syntax.Expr:
            return syntax.Field(side, axis.name, span=span)

        return Traced(Node(build, (Operand(index._node),), place.span, is_leaf=True))

    def _coordinate(self, axis: str, span: Span) -> Traced:
        side = self._side
        reads = "" if axis == "index" else axis
        field = Node(lambda place: syntax.Field(side, axis, span=place), span=span, is_leaf=True, reads=reads)
        return Traced(field)


class Axis(Traced):
    """The axis that `all_axes` or `any_axes` is at: `q[a]`, `window[a]`, `extent(a)`."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Node(lambda span: syntax.Name("axis", span=span), is_axis=True, is_leaf=True))
