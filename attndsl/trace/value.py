"""Traced values: what `q.n`, a parameter or `q.n - k.n` is while a function is traced.

Every operator makes a new value that remembers the operation, its operands and its place in the user's code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Union

from attndsl.diagnostics import AttnNameError, AttnTraceError
from attndsl.source import Span
from attndsl.syntax import ast as syntax
from attndsl.trace.constants import constant
from attndsl.trace.node import Build, Node, Operand, checked
from attndsl.trace.place import Place, here
from attndsl.trace.refused import Refusals

Number = Union[int, float, "Traced"]
"""What stands in arithmetic: numbers of Python and traced values."""

MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


class NoAttributeError(AttnNameError, AttributeError):
    """A traced value has no such attribute; `hasattr` answers no."""


class Traced(Refusals):
    """A number, truth value or array of numbers whose value is known when attention runs, or at bind.

    It has the operators of Python's numbers; comparisons are joined by `&` and `|` and negated by `~`.
    """

    __slots__ = ("_length", "_node")

    def __init__(self, node: Node, length: int | None = None) -> None:
        self._node = node
        self._length = length
        """The number of elements, where it is known before bind."""

    def __add__(self, other: Number) -> Traced:
        return binary("+", self, other)

    def __radd__(self, other: Number) -> Traced:
        return binary("+", other, self)

    def __sub__(self, other: Number) -> Traced:
        return binary("-", self, other)

    def __rsub__(self, other: Number) -> Traced:
        return binary("-", other, self)

    def __mul__(self, other: Number) -> Traced:
        return binary("*", self, other)

    def __rmul__(self, other: Number) -> Traced:
        return binary("*", other, self)

    def __truediv__(self, other: Number) -> Traced:
        return binary("/", self, other)

    def __rtruediv__(self, other: Number) -> Traced:
        return binary("/", other, self)

    def __matmul__(self, other: Traced) -> Traced:
        return product(self, other)

    def __rmatmul__(self, other: object) -> Traced:
        return product(other, self)

    def __floordiv__(self, other: Number) -> Traced:
        return binary("//", self, other)

    def __rfloordiv__(self, other: Number) -> Traced:
        return binary("//", other, self)

    def __mod__(self, other: Number) -> Traced:
        return binary("%", self, other)

    def __rmod__(self, other: Number) -> Traced:
        return binary("%", other, self)

    def __pow__(self, other: Number) -> Traced:
        return binary("**", self, other)

    def __rpow__(self, other: Number) -> Traced:
        return binary("**", other, self)

    def __and__(self, other: Number) -> Traced:
        return binary("and", self, other)

    def __rand__(self, other: Number) -> Traced:
        return binary("and", other, self)

    def __or__(self, other: Number) -> Traced:
        return binary("or", self, other)

    def __ror__(self, other: Number) -> Traced:
        return binary("or", other, self)

    def __invert__(self) -> Traced:
        return unary("not", self)

    def __neg__(self) -> Traced:
        return unary("-", self)

    def __pos__(self) -> Traced:
        return self

    def __abs__(self) -> Traced:
        return call("abs", (self,), {})

    def __round__(self) -> Traced:
        return call("round", (self,), {})

    def __floor__(self) -> Traced:
        return call("floor", (self,), {})

    def __ceil__(self) -> Traced:
        return call("ceil", (self,), {})

    def __trunc__(self) -> Traced:
        return call("int", (self,), {})

    def __lt__(self, other: Number) -> Traced:
        return comparison("<", self, other)

    def __le__(self, other: Number) -> Traced:
        return comparison("<=", self, other)

    def __gt__(self, other: Number) -> Traced:
        return comparison(">", self, other)

    def __ge__(self, other: Number) -> Traced:
        return comparison(">=", self, other)

    def __eq__(self, other: object) -> Traced:  # type: ignore[override]
        return comparison("==", self, other)

    def __ne__(self, other: object) -> Traced:  # type: ignore[override]
        return comparison("!=", self, other)

    __hash__ = Refusals.__hash__  # type: ignore[assignment]

    def __getitem__(self, index: Any) -> Traced:
        return subscript(self, index if isinstance(index, tuple) else (index,))

    def __iter__(self) -> Iterator[Traced]:
        if self._length is None:
            raise AttnTraceError(
                "A1007",
                "a traced value cannot be iterated over",
                span=here().span,
                help="`all_axes(lambda a: ...)` runs over axes; parameters of a fixed length can be unpacked",
            )
        return iter([self[number] for number in range(self._length)])

    def __getattr__(self, name: str) -> Traced:
        if name.startswith("_"):
            raise AttributeError(name)
        raise NoAttributeError(
            "A0203",
            f"a traced value has no attribute `{name}`",
            span=here().span,
            help=f"`q` and `k` have coordinates; functions are called: `attndsl.lang.{name}(x)`",
        )

    def __repr__(self) -> str:
        from attndsl.trace.emit import text_of

        return text_of(self._node)


def operand(value: object, span: Span | None, *, named: bool = False) -> Operand:
    """A value of the user as an operand that stands at `span`."""
    node = value._node if isinstance(value, Traced) else constant(value, span)
    return Operand(node, span, named)


def binary(operator: str, left: object, right: object) -> Traced:
    """Arithmetic and logic with two operands."""
    return _operation(lambda span, x, y: syntax.Binary(operator, x, y, span=span), here(), (left, right))


def product(left: object, right: object) -> Traced:
    """`x . y` of two vectors in a route; it has a meaning there only, so it never becomes a let."""
    place = here()
    spans = place.operator_spans(2)
    operands = tuple(operand(value, span) for value, span in zip((left, right), spans, strict=True))

    def build(span: Span | None, x: syntax.Expr, y: syntax.Expr) -> syntax.Expr:
        return syntax.Binary(".", x, y, span=span)

    return Traced(checked(Node(build, operands, place.span, has_scope=True)))


def unary(operator: str, value: object) -> Traced:
    """`-x` and `not x`."""
    return _operation(lambda span, x: syntax.Unary(operator, x, span=span), here(), (value,))


def comparison(operator: str, left: object, right: object) -> Traced:
    """A comparison, as it is written: Python asks `x >= 0` of a traced x for `0 <= x`."""
    place = here()
    symmetric = operator in ("==", "!=") and operator == place.operator
    if MIRRORED.get(operator) == place.operator or (symmetric and place.begins_with_literal):
        operator, left, right = place.operator, right, left
    return _operation(lambda span, x, y: syntax.Compare((operator,), (x, y), span=span), place, (left, right))


def _operation(build: Build, place: Place, values: tuple[object, ...]) -> Traced:
    spans = place.operator_spans(len(values))
    operands = tuple(operand(value, span) for value, span in zip(values, spans, strict=True))
    return made(build, operands, place)


def made(build: Build, operands: tuple[Operand, ...], place: Place) -> Traced:
    """The value of an operation that happens at this place."""
    return Traced(checked(Node(build, operands, place.span, place.variable, place.name)))


def subscript(value: Traced, indices: tuple[object, ...]) -> Traced:
    """An element: `window[a]`, `window["t"]`, `alpha[head]`, `doc[q]`, `pad[0]`."""
    place = here()
    first, *others = place.index_spans(1 + len(indices))

    def build(span: Span | None, base: syntax.Name, *elements: syntax.Expr) -> syntax.Expr:
        return syntax.Subscript(base.name, elements, span=span)

    if value._node.is_local and not value._node.is_leaf:
        raise AttnTraceError(
            "A1007",
            "only parameters, inputs and what is computed from them have elements",
            span=place.span,
            help="read the elements first: `window[a] * 2` instead of `(window * 2)[a]`",
        )
    operands = [axis_or_value(each, span) for each, span in zip(indices, others, strict=True)]
    return made(build, (operand(value, first, named=True), *operands), place)


def axis_or_value(value: object, span: Span | None) -> Operand:
    """An operand that may name an axis."""
    if isinstance(value, str):
        return Operand(Node(lambda place: syntax.Name(value, span=place), is_leaf=True, reads=value), span)
    return operand(value, span)


def condition_between(condition: object, value: object, other: object) -> Traced:
    """`value if condition else other`."""
    place = here()
    spans = place.argument_spans(3)
    operands = [operand(each, span) for each, span in zip((condition, value, other), spans, strict=True)]
    return made(lambda span, *parts: syntax.IfElse(*parts, span=span), tuple(operands), place)


def call(function: str, arguments: tuple[object, ...], named: dict[str, object]) -> Traced:
    """A call of a function of the language: built in, or of the prelude."""
    place = here()
    spans = place.argument_spans(len(arguments))
    convert = axis_or_value if function == "extent" else operand
    operands = [convert(value, span) for value, span in zip(arguments, spans, strict=True)]
    operands += [operand(value, place.argument_span(name)) for name, value in named.items()]
    names = [None] * len(arguments) + list(named)

    def build(span: Span | None, *values: syntax.Expr) -> syntax.Expr:
        pairs = zip(names, values, strict=True)
        return syntax.Call(
            function, tuple(syntax.Argument(*each, span=each[1].span) for each in pairs), span=span
        )

    return made(build, tuple(operands), place)
