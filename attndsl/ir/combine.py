"""What `combine` speaks of: the outputs of branches, element by element, and how they are joined."""

from __future__ import annotations

from dataclasses import dataclass

from attndsl.ir.expr import Expr
from attndsl.ir.ops import Scalar


@dataclass(frozen=True, eq=False)
class BranchOutput(Expr):
    """The output of a branch at the head, query and channel at work."""

    name: str

    @property
    def type(self) -> Scalar:
        return "real"


@dataclass(frozen=True, eq=False)
class Joint(Expr):
    """`joint(a, b)`: one softmax over the pairs of all these branches; a pair in two of them counts twice."""

    names: tuple[str, ...]

    @property
    def type(self) -> Scalar:
        return "real"


@dataclass(frozen=True, eq=False)
class Identity(Expr):
    """`identity`: the value of the query's own token."""

    @property
    def type(self) -> Scalar:
        return "real"


@dataclass(frozen=True, eq=False)
class Projected(Expr):
    """`project(a, w, b)`: a @ w^T + b over channels; w and b are declared inputs, b may be ''."""

    value: Expr
    weight: str
    bias: str

    @property
    def type(self) -> Scalar:
        return "real"

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.value,)


IDENTITY = Identity()
