"""Builds the schedule of a bound pattern: tile sizes, tilings, block maps."""

from __future__ import annotations

from math import prod

from attndsl.ir.bound import BoundIR, Segment, Space
from attndsl.ir.text import bound_text
from attndsl.passes.branch_spaces import refuse_schedule
from attndsl.schedule.choose import choose
from attndsl.schedule.cost import CostModel
from attndsl.schedule.masks import build_maps
from attndsl.schedule.schedule import Schedule
from attndsl.schedule.text import schedule_text, summary
from attndsl.schedule.tile_arguments import Extents, checked_step, checked_tile
from attndsl.schedule.tiling import AxisTiling, SegmentTiling, Tiling
from attndsl.stages import dump, report


def build(
    ir: BoundIR,
    q_tile: Extents | None = None,
    kv_tile: Extents | None = None,
    step: Extents | None = None,
    model: CostModel | None = None,
) -> Schedule:
    """The schedule of a bound pattern.

    q_tile, kv_tile: tokens per axis of a tile of the first query and key segment; tiles longer than their
    axis are cut off. step: the distance between a tile's tokens along each axis. What is left out is chosen
    to minimise the time that `model` predicts. Raises AttnScheduleError A0501 to A0504 for tiles and steps
    that do not fit.
    """
    refuse_schedule(ir)
    query, key = ir.query_space.segments[0], ir.key_space.segments[0]
    tiles = choose(
        ir,
        None if q_tile is None else checked_tile(q_tile, query, "q_tile"),
        None if kv_tile is None else checked_tile(kv_tile, key, "kv_tile"),
        None if step is None else checked_step(step, query, key),
        model or CostModel(),
    )
    schedule = schedule_with(ir, tiles.q_tile, tiles.kv_tile, tiles.q_step, tiles.kv_step)
    report("schedule", ir.name, lambda: summary(schedule))
    dump(f"{ir.name}.bound.txt", lambda: bound_text(ir))
    dump(f"{ir.name}.schedule.txt", lambda: schedule_text(schedule))
    return schedule


def schedule_with(
    ir: BoundIR,
    q_tile: tuple[int, ...],
    kv_tile: tuple[int, ...],
    q_step: tuple[int, ...],
    kv_step: tuple[int, ...],
) -> Schedule:
    """The schedule with given tile extents and distances between the tokens of a tile."""
    queries, keys = tiling(ir.query_space, q_tile, q_step), tiling(ir.key_space, kv_tile, kv_step)
    maps = build_maps(ir, queries, keys)
    predicates = tuple(residual.predicate for residual in maps.residuals)
    regions = tuple(residual.region for residual in maps.residuals)
    return Schedule(
        ir, queries, keys, maps.maps, maps.map_of_head, predicates, regions, q_tile, kv_tile, q_step, kv_step
    )


def tiling(space: Space, tile: tuple[int, ...], step: tuple[int, ...]) -> Tiling:
    """Tiles of the given extents in the first segment, and boxes of as many tokens in the others."""
    main, *others = space.segments
    first = SegmentTiling(main, tuple(map(AxisTiling, main.extents, tile, step)))
    rest = [filled(segment, prod(map(min, main.extents, tile))) for segment in others]
    return Tiling(space, (first, *rest))


def filled(segment: Segment, tokens: int) -> SegmentTiling:
    """Boxes of at most `tokens` tokens, as long as possible along the last axes."""
    sizes = []
    for extent in reversed(segment.extents):
        sizes.append(max(1, min(extent, tokens)))
        tokens //= sizes[-1]
    return SegmentTiling(segment, tuple(map(AxisTiling, segment.extents, reversed(sizes))))
