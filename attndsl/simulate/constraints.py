"""What a mask asks of the key on each axis, in the pattern's own names: bounds and remainders.

A mask becomes a union of boxes of keys: alternatives, each a list of constraints on single axes of the
key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from attndsl.ir.expr import (
    Apply,
    AxisVariable,
    Expr,
    FlatIndex,
    InputAt,
    Position,
    Quantified,
    topological,
)
from attndsl.ir.ops import COMPARISONS
from attndsl.simulate.names import Names
from attndsl.simulate.terms import ONE, ZERO, NoFormulaError, Term, number
from attndsl.simulate.translate import decide, translate

MOST_ALTERNATIVES = 6


@dataclass(frozen=True)
class Core:
    """What is bounded: the key's coordinate, `(key + shift) // size`, or `key % size`, on one axis."""

    kind: Literal["coordinate", "block", "residue"]
    axis: int
    size: Term = ONE
    shift: Term = ZERO


@dataclass(frozen=True)
class Bound:
    """A constraint: the core is at least (lower), at most (upper), or equal to the limit."""

    core: Core
    side: Literal["lower", "upper", "equal"]
    limit: Term


Alternative = tuple[Bound, ...]


def alternatives(condition: Expr, names: Names, wanted: bool = True) -> list[Alternative]:
    """The keys for which the condition has the wanted value, as a union of boxes; [()] is every key.

    Conditions on inputs are left out, so the keys are those that some input shows. Raises NoFormulaError.
    """
    found = _alternatives(condition, names, wanted)
    if len(found) > MOST_ALTERNATIVES:
        raise NoFormulaError("too many alternatives")
    return found


def _alternatives(condition: Expr, names: Names, wanted: bool) -> list[Alternative]:
    if not _mentions_key(condition):
        return [()] if decide(condition, names) == wanted else []
    match condition:
        case Quantified(kind, variable, body):
            axes = range(names.axes("q"))
            each = [alternatives(body, _at_axis(names, variable, axis), wanted) for axis in axes]
            return _every(each) if (kind == "all") == wanted else _any(each)
        case Apply("and" | "or" as op, args):
            each = [alternatives(arg, names, wanted) for arg in args]
            return _every(each) if (op == "and") == wanted else _any(each)
        case Apply("not", (inner,)):
            return alternatives(inner, names, not wanted)
        case Apply("select", (chooser, value, other)) if not _mentions_key(chooser):
            return alternatives(value if decide(chooser, names) else other, names, wanted)
        case Apply(op, (first, second)) if op in COMPARISONS:
            return _comparison(op if wanted else OPPOSITE[op], first, second, names)
        case InputAt():
            return [()]
    raise NoFormulaError("this condition has no formula")


OPPOSITE = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt", "eq": "ne", "ne": "eq"}
MIRRORED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}


def _every(each: list[list[Alternative]]) -> list[Alternative]:
    """All conditions at once."""
    result: list[Alternative] = [()]
    for choices in each:
        result = [(*one, *other) for one in result for other in choices]
        if len(result) > MOST_ALTERNATIVES:
            raise NoFormulaError("too many alternatives")
    return result


def _any(each: list[list[Alternative]]) -> list[Alternative]:
    """Any of the conditions; one that every key meets hides the rest."""
    found = [alternative for choices in each for alternative in choices]
    return [()] if () in found else found


def _at_axis(names: Names, variable: AxisVariable, axis: int) -> Names:
    return replace(names, variables={**names.variables, variable: axis})


def _comparison(op: str, first: Expr, second: Expr, names: Names) -> list[Alternative]:
    if _reads_input(first) or _reads_input(second):
        return [()]
    if first.type != "int" or second.type != "int":
        raise NoFormulaError("only integers are counted")
    if not _mentions_key(first):
        op, first, second = MIRRORED[op], second, first
    if _mentions_key(second):
        raise NoFormulaError("both sides depend on the key")
    limit = translate(second, names)
    if op == "ne":
        return _any([[each] for side in ("lt", "gt") for each in _isolated(side, first, limit, names)])
    return list(_isolated(op, first, limit, names))


def _isolated(op: str, side: Expr, limit: Term, names: Names) -> Iterator[Alternative]:
    """`side op limit`, solved for the key."""
    match side:
        case Apply("abs", (inner,)) if op in ("lt", "le"):
            below = list(_isolated(op, inner, limit, names))
            yield from _every([below, list(_isolated(MIRRORED[op], inner, ZERO - limit, names))])
        case Apply("abs", (inner,)) if op in ("gt", "ge"):
            yield from _isolated(op, inner, limit, names)
            yield from _isolated(MIRRORED[op], inner, ZERO - limit, names)
        case _:
            sign, core, rest = _solve(side, names)
            limit = limit - rest
            if sign < 0:
                op, limit = MIRRORED[op], ZERO - limit
            yield _bounds(op, core, limit)


def _bounds(op: str, core: Core, limit: Term) -> Alternative:
    match op:
        case "lt":
            return (Bound(core, "upper", limit - ONE),)
        case "le":
            return (Bound(core, "upper", limit),)
        case "gt":
            return (Bound(core, "lower", limit + ONE),)
        case "ge":
            return (Bound(core, "lower", limit),)
    return (Bound(core, "equal", limit),)


def _solve(side: Expr, names: Names) -> tuple[int, Core, Term]:
    """`side` as sign * core + rest."""
    match side:
        case Position("k", axis):
            return 1, Core("coordinate", names.axis(axis, "k")), ZERO
        case FlatIndex("k") if names.axes("k") == 1:
            return 1, Core("coordinate", 0), number(names.segments["k"].offset)
        case Apply("add" | "sub" as op, (first, second)):
            return _solve_sum(op, first, second, names)
        case Apply("select", (chooser, value, other)) if not _mentions_key(chooser):
            return _solve(value if decide(chooser, names) else other, names)
        case Apply("neg", (inner,)):
            sign, core, rest = _solve(inner, names)
            return -sign, core, ZERO - rest
        case Apply("floordiv" | "mod" as op, (inner, size)) if not _mentions_key(size):
            return _solve_block(op, inner, translate(size, names), names)
    raise NoFormulaError("the key cannot be isolated")


def _solve_sum(op: str, first: Expr, second: Expr, names: Names) -> tuple[int, Core, Term]:
    flip = -1 if op == "sub" else 1
    if _mentions_key(first) and _mentions_key(second):
        raise NoFormulaError("the key stands in both operands")
    if _mentions_key(first):
        sign, core, rest = _solve(first, names)
        other = translate(second, names)
        return sign, core, rest + other if flip > 0 else rest - other
    sign, core, rest = _solve(second, names)
    other = translate(first, names)
    return sign * flip, core, other + rest if flip > 0 else other - rest


def _solve_block(op: str, inner: Expr, size: Term, names: Names) -> tuple[int, Core, Term]:
    sign, core, shift = _solve(inner, names)
    if sign < 0 or core.kind != "coordinate":
        raise NoFormulaError("only blocks of coordinates are counted")
    if op == "mod":
        return 1, Core("residue", core.axis, size, shift), ZERO
    return 1, Core("block", core.axis, size, shift), ZERO


def _mentions_key(expr: Expr) -> bool:
    return any(
        isinstance(node, Position | FlatIndex | InputAt) and node.side == "k" for node in topological(expr)
    )


def _reads_input(expr: Expr) -> bool:
    return any(isinstance(node, InputAt) for node in topological(expr))
