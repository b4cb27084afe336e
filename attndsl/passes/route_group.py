"""Resolution of pools over tokens: `sum(x in condition)`, `mean(k in number)`, and `map . v`."""

from __future__ import annotations

from typing import cast

from attndsl.diagnostics import AttnTypeError
from attndsl.ir.expr import Expr, Side
from attndsl.ir.route import Dot, Reduction, RouteNode
from attndsl.ir.route_groups import Mix, PoolAlike, PoolWhere, TopAlike
from attndsl.passes.route_grains import TOKEN, Grain, Place, grains
from attndsl.source import Span

SIDES: tuple[Side, Side] = ("q", "k")
KINDS = ("mean", "sum", "max", "min")


def group_pool(kind: str, operand: Expr, group: Expr, span: Span | None, place: Place) -> RouteNode:
    """The pool of an operand over those that a condition or a number puts together."""
    grain = grains(group, place)[group]
    sides = [side for side in SIDES if grain.of(side) is not None]
    if kind not in KINDS or grain.vector or group.type == "real":
        raise AttnTypeError(
            "A0372", f"`{kind}` cannot run over this", span=span,
            help="take the `mean`, `sum`, `max` or `min` over blocks, or over tokens for which a condition"
            " holds or an integer is the same",
        )  # fmt: skip
    if len(sides) != 1 or grain.of(sides[0]) != TOKEN:
        problem = "queries and keys" if sides else "no tokens"
        raise AttnTypeError(
            "A0373", f"this speaks of {problem}, a pool runs over queries or over keys", span=span,
            help="speak of one of them, as in `sum(x in q.n >= 64)` or `mean(k in chunk[k])`",
        )  # fmt: skip
    if group.type == "bool":
        return PoolWhere(cast(Reduction, kind), operand, group, sides[0])
    if sides == ["q"]:
        raise AttnTypeError(
            "A0374", "queries cannot be grouped by a number", span=span,
            help="group keys, as in `mean(k in chunk[k])`, and pool queries by `blocks`",
        )  # fmt: skip
    return PoolAlike(cast(Reduction, kind), operand, group)


def product(left: Expr, right: Expr, place: Place) -> RouteNode:
    """`x . y`: of two vectors, or of a map of weights and the vectors of keys."""
    of_keys = grains(right, place)[right]
    weights = grains(left, place)[left]
    if of_keys.vector and of_keys.query is None and not weights.vector and weights.key is not None:
        return Mix(left, right)
    return Dot(left, right)


def top_alike(
    operand: Expr, number: Expr, count: Expr, span: Span | None, count_span: Span | None, place: Place
) -> TopAlike:
    """`top(x in number, count)`, all of tokens."""
    of_number, of_operand = (grains(each, place)[each] for each in (number, operand))
    names = {name for each in (of_number, of_operand) for name in (each.query, each.key) if name is not None}
    if number.type != "int" or of_number == Grain() or of_operand.vector or names != {TOKEN}:
        raise AttnTypeError(
            "A0376", "`top` sums numbers of tokens over tokens or pairs with the same integer", span=span,
            help="write `top(x in k.n, 8)` for keys, or `top(x in q.n - k.n, 8)` for diagonals",
        )  # fmt: skip
    if count.type != "int" or any(each != Grain() for each in grains(count, place).values()):
        raise AttnTypeError(
            "A0367", "`top` takes numbers known at bind", span=count_span,
            help="use numbers, parameters and `extent(b)`",
        )  # fmt: skip
    return TopAlike(operand, number, count)
