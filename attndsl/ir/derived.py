"""Derived tensors: queries, keys and values that are pooled, transposed, or the output of a branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from attndsl.ir.blocks import Blocks
from attndsl.source import Span

if TYPE_CHECKING:
    from attndsl.ir.bound import Space

Role = Literal["query", "key", "value"]
ROLES: tuple[Role, ...] = ("query", "key", "value")
TENSORS: dict[Role, str] = {"query": "q", "key": "k", "value": "v"}
"""The tensor that plays a role where nothing is derived."""

POOLS = ("mean", "max", "sum")


@dataclass(frozen=True)
class Derived:
    """A tensor made of others.

    kind: a pool ('mean', 'max', 'sum') of the tensor `of` ('q', 'k' or 'v') over `blocks`; 'transposed',
    where the channels of `of` are the tokens; or 'branch', the output of the branch `of`.
    """

    role: Role
    kind: Literal["mean", "max", "sum", "transposed", "branch"]
    of: str
    blocks: str = ""
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Derivation:
    """The derived tensors of a bound pattern, and the spaces and key/value heads of what they are made of."""

    query_space: Space
    key_space: Space
    kv_heads: int
    tensors: tuple[Derived, ...]
    blocks: tuple[Blocks, ...] = ()

    @property
    def is_transposed(self) -> bool:
        """Whether the tokens are channels, whose number is known when tensors come."""
        return any(each.kind == "transposed" for each in self.tensors)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The branches whose outputs are taken."""
        return outputs_of(self.tensors)


def outputs_of(tensors: Sequence[Derived]) -> tuple[str, ...]:
    """The branches whose outputs derived tensors are."""
    return tuple(each.of for each in tensors if each.kind == "branch")


def has_key_per_query_head(tensors: Sequence[Derived]) -> bool:
    """Whether keys or values have as many heads as queries: they are made of queries or of outputs."""
    wide = (each for each in tensors if each.role != "query")
    return any(each.kind == "branch" or each.of == "q" for each in wide)
