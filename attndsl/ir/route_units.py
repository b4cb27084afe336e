"""The units of a route over all tokens of a space: those of its blocks, then those of all other segments."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.blocks import Blocks
from attndsl.ir.bound import BoundIR, Segment, Space
from attndsl.ir.expr import Side
from attndsl.ir.route import Route
from attndsl.ir.units import block_box, count_of_units, is_runs, tokens_of_units, unit_of_token

Table = NDArray[np.int64]


def routed_segment(route: Route, space: Space, name: str) -> Segment:
    """The segment that a side of a route is about. name: of its blocks; '' for tokens."""
    axes = set(route.block(name).axes) if name else set()
    return next(each for each in space.segments if axes <= set(each.axes))


def unit_table(space: Space, segment: Segment, blocks: Blocks | None) -> tuple[Table | None, int]:
    """The tokens of each unit padded with -1, None where units are runs, and the most tokens in one.

    blocks: those of the segment, None for tokens. Tokens of other segments follow in units of the same size.
    """
    unit = unit_of_token(blocks, segment)
    block = int(np.bincount(unit).max()) if len(unit) else 1
    if space.size == segment.size and is_runs(unit, block):
        return None, block
    own = tokens_of_units(unit, count_of_units(blocks, segment))
    own = np.where(own >= 0, own + segment.offset, -1)
    rest = np.setdiff1d(np.arange(space.size), own)
    rest = np.pad(rest, (0, -len(rest) % block), constant_values=-1).reshape(-1, block)
    return np.concatenate([own, rest]), block


def block_tokens(ir: BoundIR, side: Side) -> int:
    """The most tokens in a block of one side of a bound pattern's route, 1 for tokens."""
    assert ir.route is not None, "callers ask for the blocks of routed patterns"
    name = ir.route.queries if side == "q" else ir.route.keys
    space = ir.query_space if side == "q" else ir.key_space
    return prod(block_box(ir.route.block(name), routed_segment(ir.route, space, name))) if name else 1


def route_table(ir: BoundIR, side: Side) -> tuple[Table | None, int]:
    """The table of one side of a bound pattern's route, and the most tokens in a unit."""
    assert ir.route is not None, "callers ask for the units of routed patterns"
    name = ir.route.queries if side == "q" else ir.route.keys
    space = ir.query_space if side == "q" else ir.key_space
    segment = routed_segment(ir.route, space, name)
    return unit_table(space, segment, ir.route.block(name) if name else None)
