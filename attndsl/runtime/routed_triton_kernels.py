"""How the Triton kernels of plans are built and printed: those of the placed pattern, over tiles of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import lcm

import numpy as np
import torch

from attndsl.codegen.programs import program_of
from attndsl.codegen.slotted import slotted
from attndsl.codegen.tile_ir import Side
from attndsl.codegen.triton import PrintedKernel, print_kernel
from attndsl.codegen.triton_configuration import Configuration, Direction, defaults
from attndsl.codegen.triton_targets import Target
from attndsl.codegen.triton_tokens import power_of_two
from attndsl.ir.bound import BoundIR, pairs_only
from attndsl.ir.plan import Plan, unit_count
from attndsl.ir.route_units import route_table
from attndsl.passes.placed import placed
from attndsl.runtime.routed_layout import Rows, gathered, in_units
from attndsl.runtime.triton_launch import LoadedKernel
from attndsl.schedule.block_map import block_map
from attndsl.schedule.schedule import Schedule
from attndsl.schedule.tiling import AxisTiling, SegmentTiling, Tiling

DIRECTIONS: tuple[Direction, ...] = ("forward", "dq", "dk_dv")
KEPT = 64
SMALLEST_TILE = 16
LARGE_SHARED = ("sm90", "sm100")
"""Targets whose shared memory has room for a stage more than usual."""

PLACES: dict[Side, str] = {"q": "query_position", "kv": "key_position"}
"""The inputs that tell kernels which token stands in each row."""


@dataclass(frozen=True)
class Shape:
    """What the kernels of a plan are compiled for.

    heads: that share a list. rows, keys: how many kernels know of. placed: the sides whose tokens may be
    anywhere. by_query: whether a query stands in several rows.
    """

    heads: int
    rows: int
    keys: int
    placed: frozenset[Side]
    by_query: bool


def rows_of(plan: Plan, chosen: Mapping[Direction, Configuration], device: torch.device) -> tuple[Rows, Rows]:
    """The rows of queries and of keys, for kernels of all directions."""
    q_filled, kv_filled = (
        max(getattr(each, name) for each in chosen.values()) for name in ("q_tokens", "kv_tokens")
    )
    keys = in_units(plan.keys, plan.kv_block, plan.kv_units, kv_filled, device)
    if plan.q_block < SMALLEST_TILE:
        return gathered(plan, q_filled, device), keys
    return in_units(plan.queries, plan.q_block, plan.q_units, q_filled, device), keys


def shape_of(ir: BoundIR, plan: Plan, queries: Rows, keys: Rows) -> Shape:
    """What the kernels of a plan are compiled for."""
    heads = ir.heads // lcm(plan.heads, ir.kv_heads)
    sides: tuple[tuple[Side, Rows, int], ...] = ("q", queries, plan.queries), ("kv", keys, plan.keys)
    rows, of_keys = (tokens if each.natural else each.count for _, each, tokens in sides)
    somewhere = frozenset(side for side, each, _ in sides if not each.natural)
    return Shape(heads, rows, of_keys, somewhere, queries.places is not None)


def configurations(
    target: Target, plan: Plan, head_dim: int, value_dim: int, element: str
) -> dict[Direction, Configuration]:
    """How the kernels of a plan are built: as usual, but no tile is larger than a unit of keys or queries.

    Where visited tokens are looked up before they are loaded, one more stage loads their places ahead.
    """
    found: dict[Direction, Configuration] = {}
    by_query = plan.q_block < SMALLEST_TILE
    looked_up = {"q": by_query or plan.q_units is not None, "kv": plan.kv_units is not None}
    for direction in DIRECTIONS:
        usual = defaults(target, direction, head_dim, value_dim, element)[-1]
        more = looked_up["q" if direction == "dk_dv" else "kv"] and target.name in LARGE_SHARED
        q_most = usual.q_tokens if by_query else max(SMALLEST_TILE, power_of_two(plan.q_block))
        kv_most = max(SMALLEST_TILE, power_of_two(plan.kv_block))
        found[direction] = replace(
            usual,
            q_tokens=min(usual.q_tokens, q_most),
            kv_tokens=min(usual.kv_tokens, kv_most),
            stages=usual.stages + more,
        )
    return found


@lru_cache(KEPT)
def loaded(
    ir: BoundIR, direction: Direction, chosen: Configuration, shape: Shape,
    head_dim: int, value_dim: int, element: str,
) -> LoadedKernel:  # fmt: skip
    """A kernel over so many rows. Its text is the same for all numbers of them."""
    return LoadedKernel(*printed_kernel(ir, direction, chosen, shape, head_dim, value_dim, element))


def printed_kernel(
    ir: BoundIR, direction: Direction, chosen: Configuration, shape: Shape,
    head_dim: int, value_dim: int, element: str,
) -> tuple[PrintedKernel, Schedule]:  # fmt: skip
    """The kernel of the placed pattern, which is told at each call which tiles are visited."""
    at = replace(placed(ir, shape.rows, shape.keys), heads=shape.heads, kv_heads=1)
    sizes = (chosen.q_tokens,), (chosen.kv_tokens,)
    queries, keys = (
        Tiling(space, (SegmentTiling(space.segments[0], (AxisTiling(space.size, *size),)),))
        for space, size in zip((at.query_space, at.key_space), sizes, strict=True)
    )
    first = np.zeros(1, dtype=np.int64)
    maps = (block_map(first, first, first + 1, first + 1, queries.tiles, keys.tiles),)  # some PARTIAL tile
    schedule = Schedule(
        at, queries, keys, maps, np.zeros(shape.heads, dtype=np.int64), (at.regions[0].visible,), ((0, 0),),
        *sizes, (1,), (1,),
    )  # fmt: skip
    program = program_of(at, direction)
    if shape.by_query and program.owner == "q":
        program = slotted(program)
    places = {side: PLACES[side] for side in shape.placed}
    return print_kernel(program, schedule, head_dim, value_dim, element, chosen, places), schedule


def kernels_of_route(
    ir: BoundIR, target: Target, lists: int, head_dim: int, element: str
) -> dict[Direction, PrintedKernel]:
    """The kernels that any plan of a bound pattern's route is given to. lists: heads with their own."""
    (q_units, q_block), (kv_units, kv_block) = route_table(ir, "q"), route_table(ir, "k")
    queries, keys = ir.query_space.size, ir.key_space.size
    rows = unit_count(queries, q_block, q_units)
    indices = torch.empty(1, lists, rows, 1, dtype=torch.int32, device="meta")
    plan = Plan(queries, keys, q_block, kv_block, indices, indices[..., 0], q_units, kv_units)
    pairs, chosen = pairs_only(ir), configurations(target, plan, head_dim, head_dim, element)
    shape = shape_of(pairs, plan, *rows_of(plan, chosen, indices.device))
    return {
        direction: printed_kernel(pairs, direction, each, shape, head_dim, head_dim, element)[0]
        for direction, each in chosen.items()
    }
