"""Routes: how a pattern selects keys from the data. What is scored, and which of the scores are kept.

A route is a map of scores, one row per query unit (a token or a block) and one column per key unit, with a
rule that keeps some of its entries. Its expressions are those of masks, and the nodes of this file beside
them: they may speak of the vectors of tokens, pool them, and compare them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from attndsl.ir.blocks import Blocks
from attndsl.ir.expr import FALSE, TRUE, Expr, Side
from attndsl.ir.ops import Scalar
from attndsl.source import Span

POOLS = ("mean", "sum", "max", "min", "stack", "stack_reversed")
"""`stack`: the channels of all tokens of a block in a row; `stack_reversed`: the last token's first."""

PoolKind = Literal["mean", "sum", "max", "min", "stack", "stack_reversed"]
Reduction = Literal["mean", "sum", "max", "min"]
Group = Literal["heads", "kv_head"]


@dataclass(frozen=True, eq=False)
class RouteNode(Expr):
    """A node that only routes have."""

    @property
    def type(self) -> Scalar:
        """A real number; of a vector, that of its channels."""
        return "real"

    @property
    def children(self) -> tuple[Expr, ...]:
        """The fields that are expressions."""
        found = (getattr(self, name) for name in self.__dataclass_fields__)
        return tuple(each for each in found if isinstance(each, Expr))

    def rebuilt(self, children: tuple[Expr, ...]) -> Expr:
        """The same node over other operands."""
        given = iter(children)
        values = (getattr(self, name) for name in self.__dataclass_fields__)
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

    kind: Reduction
    operand: Expr
    group: Group


@dataclass(frozen=True, eq=False)
class BlockIndex(RouteNode):
    """`q.b`, `k.b`: the number of the block in which the query or key lies."""

    side: Side
    blocks: str

    @property
    def type(self) -> Scalar:
        """An integer."""
        return "int"


@dataclass(frozen=True, eq=False)
class InputVector(RouteNode):
    """`centroids[head, c]`: the channels of an input, the last dimension of which is `dim`."""

    name: str
    indices: tuple[Expr, ...]

    @property
    def children(self) -> tuple[Expr, ...]:
        """The indices into the other dimensions."""
        return self.indices

    def rebuilt(self, children: tuple[Expr, ...]) -> Expr:
        """The same input at other indices."""
        return InputVector(self.name, children)


@dataclass(frozen=True, eq=False)
class ScaleFactor(RouteNode):
    """`scale`: what products of queries and keys are multiplied by in the attention itself."""


@dataclass(frozen=True)
class Rule:
    """Which entries of a pool of scores are kept, by the names in `RULES`."""

    name: str
    arguments: tuple[Expr, ...]


RULES: dict[str, tuple[int, int]] = {
    "top": (1, 1), "ranks": (2, 2), "ratio": (1, 2), "drop": (1, 1), "threshold": (1, 2), "nucleus": (1, 2),
    "within": (1, 2), "spread": (1, 2), "halves": (1, 1),
}  # fmt: skip
"""Smallest and largest number of arguments of each rule. `least` counts entries beyond the preferred ones.

`top(n)`: the n largest for each row of the pool. `ranks(first, last)`: from rank `first` up to `last`, from 0
at the largest on. `ratio(x, least)`: the largest int(x * entries). `drop(x)`: all but the int(x * entries)
smallest, and what equals the largest of these. `threshold(t, least)`: those that reach t. `nucleus(p,
least)`: the fewest largest whose sum reaches p times the sum of all. `within(p, least)`: the most largest
whose sum does not exceed that. `spread(p, least)`: nucleus of scores moved and scaled to run from 0 to 1.
`halves(n)`: a search by halves of n groups, judged by their first entries; see `runtime/select_halves.py`.
"""

COUNTING = ("top", "ranks", "halves")
"""Rules whose numbers all count entries; of the others the second one does."""
OF_PARTS = ("ratio", "drop", "nucleus", "within", "spread")
"""Rules that keep or drop a part of all."""

Pooling = Literal["query", "head", "all"]
"""Which entries compete: those of a row of the map, of all rows of a head, or all of them."""


@dataclass(frozen=True)
class Route:
    """What is scored and what is kept.

    queries, keys: the blocks that rows and columns stand for, by name; '' for tokens. score: of each pair.
    rules: the first whose condition holds at bind. per: which entries compete. choice: the parameter that
    chooses one of several. among: the pairs that take part. prefer: pairs that are kept first, and count.
    always: pairs that are kept beside the selection. blocks: all that are declared.
    """

    queries: str
    keys: str
    score: Expr
    rules: tuple[tuple[Expr, Rule], ...]
    per: tuple[Pooling, ...]
    choice: str = ""
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
