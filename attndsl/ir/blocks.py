"""Blocks: a partition of the tokens of a segment into boxes, declared by `blocks b of n by size`."""

from __future__ import annotations

from dataclasses import dataclass

from attndsl.ir.expr import Expr


@dataclass(frozen=True)
class Blocks:
    """`blocks b of (t, y, x) by (2, 8, 8)`: boxes of tokens, numbered row-major; edges may cut the last ones.

    axes: of one segment. An axis of that segment which is not named is not cut: blocks extend over all of
    it. sizes: tokens per block along each of the axes, integers known at bind.
    """

    name: str
    axes: tuple[str, ...]
    sizes: tuple[Expr, ...]
