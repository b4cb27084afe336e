"""Data-dependent masks before their data is known: the loosest mask that some input could give.

Predictions of such patterns are made for this mask, and so are upper bounds of the cost.
"""

from __future__ import annotations

from dataclasses import replace

from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import FALSE, TRUE, Apply, Expr, InputAt


def is_data_dependent(ir: BoundIR) -> bool:
    """Whether the mask reads inputs."""
    return any(_reads_input(region.visible) for region in ir.regions)


def loosest(ir: BoundIR) -> BoundIR:
    """The pattern in which every condition on inputs is as permissive as inputs can make it."""
    if not is_data_dependent(ir):
        return ir
    regions = tuple(replace(region, visible=possible(region.visible)) for region in ir.regions)
    return replace(ir, regions=regions, inputs=())


def possible(expr: Expr) -> Expr:
    """A condition without inputs that holds wherever `expr` can hold for some input."""
    return _bound(expr, can_hold=True)


def _bound(expr: Expr, can_hold: bool) -> Expr:
    """Where `expr` can hold (True), or where it must hold whatever the inputs are (False)."""
    if not _reads_input(expr):
        return expr
    match expr:
        case Apply("and" | "or" as op, (first, second)):
            return _junction(op, _bound(first, can_hold), _bound(second, can_hold))
        case Apply("not", (inner,)):
            return Apply("not", (_bound(inner, not can_hold),))
        case Apply("select", (condition, value, other)):
            return _bound_choice(condition, value, other, can_hold)
    return TRUE if can_hold else FALSE


def _bound_choice(condition: Expr, value: Expr, other: Expr, can_hold: bool) -> Expr:
    value, other = _bound(value, can_hold), _bound(other, can_hold)
    if not _reads_input(condition):
        return Apply("select", (condition, value, other))
    return _junction("or" if can_hold else "and", value, other)


def _junction(op: str, first: Expr, second: Expr) -> Expr:
    """`first and second`, `first or second`, with constants folded."""
    neutral, absorbing = (TRUE, FALSE) if op == "and" else (FALSE, TRUE)
    if absorbing in (first, second):
        return absorbing
    if first is neutral:
        return second
    return first if second is neutral else Apply(op, (first, second))


def _reads_input(expr: Expr) -> bool:
    return any(isinstance(leaf, InputAt) for leaf in expr.leaves)
