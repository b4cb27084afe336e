"""Bind of blocks: their sizes become numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from attndsl.diagnostics import AttnBindError
from attndsl.ir.blocks import Blocks
from attndsl.ir.expr import Const, Expr
from attndsl.passes.bind_expr import Numbers, bind_expr


def bind_blocks(blocks: Sequence[Blocks], numbers: Numbers) -> tuple[Blocks, ...]:
    """The blocks with sizes that are numbers. Raises AttnBindError A0430 for sizes below 1."""
    return tuple(
        replace(each, sizes=tuple(_size(each, size, numbers) for size in each.sizes)) for each in blocks
    )


def _size(blocks: Blocks, size: Expr, numbers: Numbers) -> Const:
    bound = cast(Const, bind_expr(size, numbers))
    if bound.value < 1:
        raise AttnBindError(
            "A0430", f"blocks `{blocks.name}` would hold {bound.value} tokens along one axis",
            span=blocks.span, help="choose numbers that make it 1 or more",
        )  # fmt: skip
    return bound
