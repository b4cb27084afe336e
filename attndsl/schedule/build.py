"""Builds the schedule of a bound pattern: tile sizes, tilings, block maps."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from attndsl.ir.bound import BoundIR, Segment, Space
from attndsl.schedule.masks import build_maps
from attndsl.schedule.schedule import Schedule
from attndsl.schedule.tiling import AxisTiling, SegmentTiling, Tiling

Extents = int | Sequence[int]

LARGEST_TILE = 1024
"""Tokens: kernels keep a tile's scores in fast memory."""


def build(ir: BoundIR, q_tile: Extents, kv_tile: Extents) -> Schedule:
    """The schedule with these tiles, tokens per axis of the first segments."""
    q, kv = _extents(q_tile), _extents(kv_tile)
    return schedule_with(ir, q, kv, (1,) * len(q), (1,) * len(kv))


def _extents(tile: Extents) -> tuple[int, ...]:
    return (tile,) if isinstance(tile, int) else tuple(tile)


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
    rest = [_filled(segment, prod(map(min, main.extents, tile))) for segment in others]
    return Tiling(space, (first, *rest))


def _filled(segment: Segment, tokens: int) -> SegmentTiling:
    """Boxes of at most `tokens` tokens, as long as possible along the last axes."""
    sizes = []
    for extent in reversed(segment.extents):
        sizes.append(max(1, min(extent, tokens)))
        tokens //= sizes[-1]
    return SegmentTiling(segment, tuple(map(AxisTiling, segment.extents, reversed(sizes))))
