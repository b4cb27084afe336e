"""Tile choice for masks that are products over the axes: all pairs of boxes are counted exactly, at once."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import Segment
from attndsl.schedule.candidates import Box, Candidates, Tiles
from attndsl.schedule.cost import CostModel, best
from attndsl.schedule.product import AxisCount, AxisMask
from attndsl.schedule.separable import NO_AXIS
from attndsl.schedule.tiling import AxisTiling

Array = NDArray[Any]


def best_of_product(
    query: Segment, key: Segment, masks: list[list[AxisMask]], layouts: list[Candidates], model: CostModel
) -> Tiles:
    """The candidate with the least predicted time. masks: the product of each head class."""
    found = [(layout, *_predicted(query, key, masks, layout, model)) for layout in layouts]
    layout, time, visited = min(found, key=lambda each: float(each[1].min()))
    q, kv = np.unravel_index(best(time, visited), time.shape)
    return layout.tiles(int(q), int(kv))


def _predicted(
    query: Segment, key: Segment, masks: list[list[AxisMask]], found: Candidates, model: CostModel
) -> tuple[Array, Array]:
    """Time and visited tiles of every pair of boxes with one layout, both [q boxes, kv boxes]."""
    q_tokens, kv_tokens = (np.array([prod(box) for box in side]) for side in (found.q_boxes, found.kv_boxes))
    counts = [_counts(query, key, axes, found) for axes in masks]
    time = sum(model.time(*each, q_tokens[:, None], kv_tokens) for each in counts)
    return np.asarray(time), np.sum([visited for visited, _, _ in counts], axis=0)


def _counts(
    query: Segment, key: Segment, axes: list[AxisMask], found: Candidates
) -> tuple[Array, Array, Array]:
    """Visited tiles, and pairs of tokens in visited and in FULL tiles, for every pair of boxes."""
    counts = np.ones((3, len(found.q_boxes), len(found.kv_boxes)))
    for mask in axes:
        counts *= _axis_counts(query, key, mask, found)
    for axis in set(range(len(query.extents))) - {mask.query for mask in axes}:
        extent = query.extents[axis]
        tiles = [AxisTiling(extent, box[axis], found.q_step[axis]).tiles for box in found.q_boxes]
        counts *= np.array([tiles, [extent] * len(tiles), [extent] * len(tiles)])[:, :, None]
    return counts[0], counts[1], counts[2]


def _axis_counts(query: Segment, key: Segment, mask: AxisMask, found: Candidates) -> Array:
    """Visited tiles, visited tokens and FULL tokens along one axis, [3, q boxes, kv boxes]."""
    rows, row_of = _axis_tilings(query, mask.query, found.q_boxes, found.q_step)
    columns, column_of = _axis_tilings(key, mask.key, found.kv_boxes, found.kv_step)
    table = np.array([[_numbers(mask.count(row, column)) for column in columns] for row in rows], dtype=float)
    return np.moveaxis(table[np.ix_(row_of, column_of)], -1, 0)


def _numbers(count: AxisCount) -> tuple[int, int, int]:
    return count.visited, count.visited_tokens, count.full_tokens


def _axis_tilings(
    segment: Segment, axis: int | None, found: list[Box], step: Box
) -> tuple[list[AxisTiling], list[int]]:
    """The distinct tilings of one axis, and for each box which of them it has."""
    if axis is None:
        return [NO_AXIS], [0] * len(found)
    sides = sorted({box[axis] for box in found})
    tilings = [AxisTiling(segment.extents[axis], side, step[axis]) for side in sides]
    return tilings, [sides.index(box[axis]) for box in found]
