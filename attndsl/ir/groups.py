"""Groups: sets of tokens that routes choose, each with attention of its own inside.

`groups c of count` declares them. A route of queries and one of keys choose the members of each; a token may
be in several groups, or in none. The output of a query is the mean over the groups that it is in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from attndsl.ir.expr import Expr, FlatIndex, InputAt, Position, Side
from attndsl.ir.route import BlockIndex, Pool, Route, Vectors
from attndsl.ir.route_groups import PoolWhere
from attndsl.source import Span

Members = Literal["queries", "keys"]
MEMBERS: tuple[Members, Members] = ("queries", "keys")

SIDES: dict[Members, Side] = {"queries": "q", "keys": "k"}
"""The side of each map on which members are; groups are on the other."""

OTHER: dict[Side, Side] = {"q": "k", "k": "q"}


@dataclass(frozen=True)
class Groups:
    """`groups c of count` and its routes. In each, `c` is a coordinate of the side without members.

    count: an integer known at bind. queries, keys: the maps of tokens and groups, and what is kept of them.
    """

    name: str
    count: Expr
    queries: Route
    keys: Route
    span: Span | None = field(default=None, compare=False, repr=False)

    @property
    def routes(self) -> dict[Members, Route]:
        """The route of each kind of members."""
        return {"queries": self.queries, "keys": self.keys}


def swapped(node: Expr) -> Expr:
    """A node of a route with its sides exchanged, as a rule for `rewrite`."""
    match node:
        case Position(side, axis):
            return Position(OTHER[side], axis)
        case FlatIndex(side):
            return FlatIndex(OTHER[side])
        case InputAt(name, side, kind):
            return InputAt(name, OTHER[side], kind)
        case BlockIndex(side, blocks):
            return BlockIndex(OTHER[side], blocks)
        case Vectors("q"):
            return Vectors("k")
        case Vectors("k"):
            return Vectors("q")
        case Pool(kind, operand, blocks, sides):
            return Pool(kind, operand, blocks, tuple(OTHER[side] for side in sides))
        case PoolWhere(kind, operand, condition, side):
            return PoolWhere(kind, operand, condition, OTHER[side])
    return node
