"""Units: the tokens of blocks, as arrays. A unit is a block, or a single token."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.blocks import Blocks
from attndsl.ir.bound import Segment
from attndsl.ir.expr import Const

Numbers = NDArray[np.int64]


def block_box(blocks: Blocks, segment: Segment) -> tuple[int, ...]:
    """The extents of a block of a bound pattern along each axis of its segment."""
    sizes = {
        axis: int(size.value)
        for axis, size in zip(blocks.axes, blocks.sizes, strict=True)
        if isinstance(size, Const)
    }
    return tuple(
        min(sizes.get(axis, extent), extent)
        for axis, extent in zip(segment.axes, segment.extents, strict=True)
    )


def block_grid(blocks: Blocks, segment: Segment) -> tuple[int, ...]:
    """The number of blocks along each axis of a segment."""
    box = block_box(blocks, segment)
    return tuple(-(-extent // max(size, 1)) for extent, size in zip(segment.extents, box, strict=True))


def count_of_units(blocks: Blocks | None, segment: Segment) -> int:
    """How many units a segment has; None stands for tokens."""
    return segment.size if blocks is None else prod(block_grid(blocks, segment))


def unit_of_token(blocks: Blocks | None, segment: Segment) -> Numbers:
    """The unit of each token of a segment, in order."""
    tokens = np.arange(segment.size)
    if blocks is None or not segment.size:
        return tokens
    places = np.unravel_index(tokens, segment.extents)
    box = block_box(blocks, segment)
    cells = tuple(place // size for place, size in zip(places, box, strict=True))
    return np.ravel_multi_index(cells, block_grid(blocks, segment)).astype(np.int64)


def tokens_of_units(unit: Numbers, count: int) -> Numbers:
    """The tokens of each unit in ascending order, padded with -1. unit: that of each token."""
    sizes = np.bincount(unit, minlength=count)
    order = np.argsort(unit, kind="stable")
    starts = np.cumsum(sizes) - sizes
    table = np.full((count, int(sizes.max(initial=0))), -1, dtype=np.int64)
    table[unit[order], np.arange(len(order)) - starts[unit[order]]] = order
    return table


def is_runs(unit: Numbers, block: int) -> bool:
    """Whether units are runs of `block` tokens, the last of which may be short."""
    return bool(np.array_equal(unit, np.arange(len(unit)) // max(block, 1)))
