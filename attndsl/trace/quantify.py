"""Quantifiers over axes, and requirements, which hold for every axis that is open."""

from __future__ import annotations

from collections.abc import Callable

from attndsl.diagnostics import AttnTraceError
from attndsl.syntax import ast as syntax
from attndsl.trace.node import Node, Operand, checked
from attndsl.trace.place import Place, here
from attndsl.trace.positions import Axis
from attndsl.trace.session import Requirement, current
from attndsl.trace.value import Traced, operand


def quantified(kind: str, condition: Callable[[Axis], Traced | bool]) -> Traced:
    """`all axis a: condition(a)` or `any axis a: condition(a)`."""
    place = here()
    if not callable(condition):
        raise AttnTraceError(
            "A1004",
            f"`{kind}_axes` takes a function of an axis",
            span=place.span,
            help=f"write `{kind}_axes(lambda a: q[a] == k[a])`",
        )
    axis, session = Axis(), current(f"{kind}_axes")
    session.open_axes.append(axis)
    try:
        body = condition(axis)
    finally:
        session.open_axes.pop()
    return Traced(_over(kind, axis._node, operand(body, place.span), place))


def require(condition: Traced | bool, message: str) -> None:
    """State what must hold of the numbers; `bind` checks it and raises A0410 with the message.

    Conditions of constants alone that hold are dropped.
    """
    place = here()
    session = current("require")
    if condition is True:
        return
    if not isinstance(message, str):
        raise AttnTraceError(
            "A1004", "the message of `require` must be a text", span=place.span,
            help='write `require(left >= 0, "left must be 0 or more")`',
        )  # fmt: skip
    use = operand(condition, place.argument_spans(2)[0])
    for axis in session.open_axes:
        if axis._node in use.node.axes:
            use = Operand(_over("all", axis._node, use, place), use.span)
    session.requirements.append(Requirement(use, message, place.span))


def _over(kind: str, axis: Node, body: Operand, place: Place) -> Node:
    def build(span: object, variable: syntax.Name, condition: syntax.Expr) -> syntax.Expr:
        return syntax.Quantified(kind, variable.name, condition, span=place.span)

    operands = (Operand(axis), body)
    return checked(Node(build, operands, place.span, place.variable, place.name, binds=axis))
