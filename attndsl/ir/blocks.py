"""Blocks of tokens: `blocks b of n by size`, which derived tensors and routes speak of."""

from __future__ import annotations

from dataclasses import dataclass, field

from attndsl.ir.expr import Expr
from attndsl.source import Span


@dataclass(frozen=True)
class Blocks:
    """`blocks b of (t, y, x) by (2, 8, 8)`: boxes of tokens, numbered row-major; edges may cut the last ones.

    axes: of one segment. An axis of that segment which is not named is not cut: blocks extend over all of
    it. sizes: tokens per block along each of the axes, integers known at bind, and `Const` in a bound
    pattern.
    """

    name: str
    axes: tuple[str, ...]
    sizes: tuple[Expr, ...]
    span: Span | None = field(default=None, compare=False, repr=False)

    @property
    def axis(self) -> str:
        """The axis of blocks along a single one."""
        (axis,) = self.axes
        return axis

    @property
    def size(self) -> Expr:
        """Tokens per block of blocks along a single axis."""
        (size,) = self.sizes
        return size
