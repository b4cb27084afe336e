"""Tile choice for all other masks: counted on a sample of q tiles.

First with equal boxes on both sides, then one side at a time.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import prod

from attndsl.ir.bound import Segment
from attndsl.ir.expr import Expr
from attndsl.schedule.candidates import Candidates, Tiles, most_promising, preferred
from attndsl.schedule.cost import CostModel
from attndsl.schedule.region import Region
from attndsl.schedule.sample import sampled_counts
from attndsl.schedule.tiling import AxisTiling, SegmentTiling

MOST_SAMPLED = 48
"""Boxes of each side that are tried."""


def best_of_sample(
    query: Segment, key: Segment, masks: list[Expr], layouts: list[Candidates], model: CostModel
) -> Tiles:
    """A candidate with little predicted time."""

    @cache
    def time(tiles: Tiles) -> float:
        return sum(_time(query, key, mask, tiles, model) for mask in masks)

    tried = [_fewer(found) for found in layouts]
    starts = [tiles for found in tried for tiles in _equal_boxes(found)]
    best = min(starts, key=time)
    found = tried[[each.q_step for each in tried].index(best.q_step)]
    best = min((replace(best, kv_tile=box) for box in found.kv_boxes), key=time)
    return min((replace(best, q_tile=box) for box in found.q_boxes), key=time)


def _fewer(found: Candidates) -> Candidates:
    q_boxes, kv_boxes = (
        preferred(most_promising(side, MOST_SAMPLED)) for side in (found.q_boxes, found.kv_boxes)
    )
    return replace(found, q_boxes=q_boxes, kv_boxes=kv_boxes)


def _equal_boxes(found: Candidates) -> list[Tiles]:
    both = [box for box in found.q_boxes if box in found.kv_boxes]
    return [Tiles(box, box, found.q_step, found.kv_step) for box in both] or [found.tiles(0, 0)]


def _time(query: Segment, key: Segment, mask: Expr, tiles: Tiles, model: CostModel) -> float:
    region = Region(
        SegmentTiling(query, tuple(map(AxisTiling, query.extents, tiles.q_tile, tiles.q_step))),
        SegmentTiling(key, tuple(map(AxisTiling, key.extents, tiles.kv_tile, tiles.kv_step))),
    )
    filling = model.filling(prod(tiles.q_tile)) * model.filling(prod(tiles.kv_tile))
    return float(model.time(*sampled_counts(region, mask), filling))
