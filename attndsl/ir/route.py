"""Routes: how a pattern selects keys from the data. What is scored, and which of the scores are kept.

A route is a map of scores, one row per query unit (a token or a block) and one column per key unit, with a rule
that keeps some of its entries. Its expressions are those of masks, and the nodes of this file beside them: they
may speak of the vectors of tokens, pool them, and compare them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from attndsl.ir.blocks import Blocks
from attndsl.ir.expr import FALSE, TRUE, Expr, Side
from attndsl.ir.ops import Scalar
from attndsl.source import Span

POOLS = ("mean", "sum", "max", "min", "stack", "stack_reversed")
"""`stack`: the channels of all tokens of a block one after the other; `stack_reversed`: of the last one first."""

PoolKind = Literal["mean", "sum", "max", "min", "stack", "stack_reversed"]


@dataclass(frozen=True, eq=False)
class RouteNode(Expr):
    """A node that only routes have."""

    @property
    def type(self) -> Scalar:
        return "real"

    @property
    def children(self) -> tuple[Expr, ...]:
        found = (getattr(self, each.name) for each in fields(self))
        return tuple(each for each in found if isinstance(each, Expr))

    def rebuilt(self, children: tuple[Expr, ...]) -> Expr:
        """The same node over other operands."""
        given = iter(children)
        values = (getattr(self, each.name) for each in fields(self))
        node: Expr = type(self)(*(next(given) if isinstance(each, Expr) else each for each in values))
        return node


@dataclass(frozen=True, eq=False)
class Vectors(RouteNode):
    """`q`, `k`, `v` alone: the channels of each token."""

    name: Literal["q", "k", "v"]


@dataclass(frozen=True, eq=False)
class Pool(RouteNode):
    """`mean(k in b)`: one value per block; of a map of scores on both sides, or on one with `in k.b`.

    blocks: their name; '' stands for all tokens together, `mean(k)`. sides: where pooling happens.
    """

    kind: PoolKind
    operand: Expr
    blocks: str
    sides: tuple[Side, ...]


@dataclass(frozen=True, eq=False)
class Dot(RouteNode):
    """`x . y`: the product of two vectors, summed over channels."""

    left: Expr
    right: Expr


@dataclass(frozen=True, eq=False)
class Softmax(RouteNode):
    """`softmax(x, condition)`: over the keys for which the condition holds; 0 for all others."""

    operand: Expr
    condition: Expr


@dataclass(frozen=True, eq=False)
class OverHeads(RouteNode):
    """`sum(x in heads)`, `sum(x in kv_head)`: over all query heads, or those that share a key/value head."""

    kind: Literal["mean", "sum", "max", "min"]
    operand: Expr
    group: Literal["heads", "kv_head"]


@dataclass(frozen=True, eq=False)
class BlockIndex(RouteNode):
    """`q.b`, `k.b`: the number of the block in which the query or key lies."""

    side: Side
    blocks: str

    @property
    def type(self) -> Scalar:
        return "int"


@dataclass(frozen=True, eq=False)
class ScaleFactor(RouteNode):
    """`scale`: what products of queries and keys are multiplied by in the attention itself."""


@dataclass(frozen=True)
class Rule:
    """Which entries of a pool of scores are kept.

    'top' n: the n largest. 'ranks' first, last: the entries from rank `first` to `last`, counted from 0 at
    the largest. 'ratio' x: the largest int(x * entries). 'drop' n: all but the n smallest, and what equals the
    largest of these. 'threshold' t: those that reach t. 'nucleus' p, least: the fewest largest whose sum
    reaches p times the sum of all. 'spread' p, least: nucleus over the scores moved to 0..1.
    """

    name: str
    arguments: tuple[Expr, ...]


RULES: dict[str, tuple[int, int]] = {
    "top": (1, 1), "ranks": (2, 2), "ratio": (1, 2), "drop": (1, 1), "threshold": (1, 2), "nucleus": (1, 2),
    "spread": (1, 2),
}  # fmt: skip
"""Smallest and largest number of arguments of each rule."""


@dataclass(frozen=True)
class Route:
    """What is scored and what is kept.

    queries, keys: the blocks that rows and columns stand for, by name; '' for tokens. score: of each pair.
    among: the pairs that take part. rules: the first whose condition holds at bind. per: what has a selection of
    its own, 'query' (each row) and 'head'; without them all rows or all heads compete. prefer: pairs that are
    kept first, and count. always: pairs that are kept beside the selection. blocks: all that are declared.
    """

    queries: str
    keys: str
    score: Expr
    rules: tuple[tuple[Expr, Rule], ...]
    per: tuple[str, ...]
    among: Expr = TRUE
    prefer: Expr = FALSE
    always: Expr = FALSE
    blocks: tuple[Blocks, ...] = ()
    span: Span | None = field(default=None, compare=False, repr=False)

    @property
    def expressions(self) -> tuple[Expr, ...]:
        """All its expressions."""
        rules = (each for condition, rule in self.rules for each in (condition, *rule.arguments))
        return (self.score, self.among, self.prefer, self.always, *rules)

    @property
    def rule(self) -> Rule:
        """The rule of a bound route."""
        return self.rules[0][1]

    def block(self, name: str) -> Blocks:
        """The blocks of this name."""
        return next(each for each in self.blocks if each.name == name)
