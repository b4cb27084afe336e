"""Tile choice for all other masks: counted on a sample of q tiles.

First with equal boxes on both sides, then one side at a time.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import prod

import numpy as np

from attndsl.ir.bound import Segment
from attndsl.ir.expr import Expr
from attndsl.schedule.candidates import Candidates, Tiles, most_promising, preferred
from attndsl.schedule.cost import CostModel, best
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
    def predicted(tiles: Tiles) -> tuple[float, float]:
        each = [_predicted(query, key, mask, tiles, model) for mask in masks]
        return sum(time for time, _ in each), sum(visited for _, visited in each)

    def best_of(tried: list[Tiles]) -> Tiles:
        time, visited = np.array([predicted(tiles) for tiles in tried]).T
        return tried[best(time, visited)]

    tried = [_fewer(found) for found in layouts]
    chosen = best_of([tiles for found in tried for tiles in _equal_boxes(found)])
    found = next(each for each in tried if each.q_step == chosen.q_step)
    chosen = best_of([replace(chosen, kv_tile=box) for box in found.kv_boxes])
    return best_of([replace(chosen, q_tile=box) for box in found.q_boxes])


def _fewer(found: Candidates) -> Candidates:
    q_boxes, kv_boxes = (
        preferred(most_promising(side, MOST_SAMPLED)) for side in (found.q_boxes, found.kv_boxes)
    )
    return replace(found, q_boxes=q_boxes, kv_boxes=kv_boxes)


def _equal_boxes(found: Candidates) -> list[Tiles]:
    both = [box for box in found.q_boxes if box in found.kv_boxes]
    return [Tiles(box, box, found.q_step, found.kv_step) for box in both] or [found.tiles(0, 0)]


def _predicted(
    query: Segment, key: Segment, mask: Expr, tiles: Tiles, model: CostModel
) -> tuple[float, float]:
    """Time and visited tiles for the mask of one head class."""
    region = Region(
        SegmentTiling(query, tuple(map(AxisTiling, query.extents, tiles.q_tile, tiles.q_step))),
        SegmentTiling(key, tuple(map(AxisTiling, key.extents, tiles.kv_tile, tiles.kv_step))),
    )
    visited, tokens, full = sampled_counts(region, mask)
    q_tokens, kv_tokens = (np.asarray(prod(box)) for box in (tiles.q_tile, tiles.kv_tile))
    return float(model.time(visited, tokens, full, q_tokens, kv_tokens)), visited
