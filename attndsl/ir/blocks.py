"""Blocks of an axis: `blocks b of n by size`, which derived tensors and routes speak of."""

from __future__ import annotations

from dataclasses import dataclass, field

from attndsl.ir.expr import Expr
from attndsl.source import Span


@dataclass(frozen=True)
class Blocks:
    """Block number i holds the tokens whose coordinate on `axis` runs from i * size; the last may be short.

    size: an integer known at bind, and a `Const` of the bound pattern.
    """

    name: str
    axis: str
    size: Expr
    span: Span | None = field(default=None, compare=False, repr=False)
