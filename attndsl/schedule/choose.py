"""Tile choice: the boxes (and for `% d` the residue layout) that minimise the predicted time.

Masks that are products over the axes are counted exactly for all candidates at once. Others are counted on a
sample of q tiles, first with equal boxes on both sides, then one side at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import BoundIR, Segment
from attndsl.ir.expr import TRUE, Expr, InputAt
from attndsl.schedule.candidates import MOST, Box, boxes, most_promising, steps
from attndsl.schedule.cost import CostModel
from attndsl.schedule.heads import head_classes
from attndsl.schedule.product import AxisCount, AxisMask, product_masks
from attndsl.schedule.region import Region
from attndsl.schedule.sample import sampled_counts
from attndsl.schedule.separable import NO_AXIS
from attndsl.schedule.tiling import AxisTiling, SegmentTiling

Array = NDArray[Any]

MOST_CLASSES = 4
"""Head classes that take part in the choice."""

MOST_SAMPLED = 48
"""Boxes of each side that are tried on a sample."""

MOST_REFINED = 64
"""Tokens of a tile where the mask depends on inputs: smaller tiles leave more to drop once they are known."""


@dataclass(frozen=True)
class Tiles:
    """Tokens per axis of a q tile and of a kv tile, and the distance of a tile's tokens on each axis."""

    q_tile: Box
    kv_tile: Box
    q_step: Box
    kv_step: Box


@dataclass(frozen=True)
class Candidates:
    """The boxes and steps to choose from; a single one where the user has chosen."""

    q_boxes: list[Box]
    kv_boxes: list[Box]
    steps: list[Box]


def choose(ir: BoundIR, q_tile: Box | None, kv_tile: Box | None, step: Box | None, model: CostModel) -> Tiles:
    """The best tiles; what is given is kept."""
    query, key = ir.query_space.segments[0], ir.key_space.segments[0]
    masks = _main_masks(ir)
    found = _candidates(query, key, masks, q_tile, kv_tile, step)
    if 1 == len(found.q_boxes) == len(found.kv_boxes) == len(found.steps) or not query.size * key.size:
        best = _tiles(found.q_boxes[-1], found.kv_boxes[-1], found.steps[0], key)
    else:
        best = _best(query, key, masks, found, model)
    return Tiles(
        q_tile or _cut_off(best.q_tile, query.extents, best.q_step),
        kv_tile or _cut_off(best.kv_tile, key.extents, best.kv_step),
        best.q_step,
        best.kv_step,
    )


def _best(query: Segment, key: Segment, masks: list[Expr], found: Candidates, model: CostModel) -> Tiles:
    products = [product_masks(query, key, mask) for mask in masks]
    known = [axes for axes in products if axes is not None]
    if len(known) == len(masks):
        return _best_product(query, key, known, found, model)
    return _best_sampled(query, key, masks, found, model)


def _main_masks(ir: BoundIR) -> list[Expr]:
    """The mask between the first segments, for head classes spread evenly over all."""
    main = [number for number, place in enumerate(ir.regions) if place.query == place.key == 0]
    classes, _ = head_classes(ir)
    count = min(len(classes), MOST_CLASSES)
    chosen = [classes[i * len(classes) // count] for i in range(count)]
    return list(dict.fromkeys(each.masks[main[0]] if main else TRUE for each in chosen))


def _candidates(
    query: Segment,
    key: Segment,
    masks: Sequence[Expr],
    q_tile: Box | None,
    kv_tile: Box | None,
    step: Box | None,
) -> Candidates:
    depends_on_inputs = any(isinstance(leaf, InputAt) for mask in masks for leaf in mask.leaves)
    most = MOST_REFINED if depends_on_inputs else MOST
    layouts = [step] if step else [(1,) * len(query.extents)]
    if not step and len(query.extents) == len(key.extents):
        layouts = steps(query.extents, masks)
    return Candidates(
        [q_tile] if q_tile else _preferred(boxes(query.extents, masks, most)),
        [kv_tile] if kv_tile else _preferred(boxes(key.extents, masks, most)),
        layouts,
    )


def _preferred(found: list[Box]) -> list[Box]:
    """Sorted so that of equally good boxes the largest comes first, and the one longest in memory order."""
    return sorted(found, key=lambda box: (-prod(box), [-side for side in reversed(box)]))


def _tiles(q_box: Box, kv_box: Box, step: Box, key: Segment) -> Tiles:
    same_rank = len(step) == len(key.extents)
    return Tiles(q_box, kv_box, step, step if same_rank else (1,) * len(key.extents))


def _cut_off(box: Box, extents: Box, step: Box) -> Box:
    """A chosen box, no longer than the residue classes that it lies in."""
    return tuple(min(side, -(-extent // d)) for side, extent, d in zip(box, extents, step, strict=True))


def _best_product(
    query: Segment, key: Segment, masks: list[list[AxisMask]], found: Candidates, model: CostModel
) -> Tiles:
    filling = np.outer(_filling(found.q_boxes, model), _filling(found.kv_boxes, model))
    best: tuple[float, Tiles] | None = None
    for step in found.steps:
        layout = _tiles((), (), step, key)
        time = np.zeros(filling.shape)
        for axes in masks:
            visited, tokens, full = _product_counts(query, key, axes, found, layout)
            time += model.time(visited, tokens, full, filling)
        q, kv = np.unravel_index(np.argmin(time), time.shape)
        if best is None or time[q, kv] < best[0]:
            best = float(time[q, kv]), _tiles(found.q_boxes[q], found.kv_boxes[kv], step, key)
    assert best is not None
    return best[1]


def _filling(found: list[Box], model: CostModel) -> Array:
    tokens = np.array([prod(box) for box in found])
    return model.filled(tokens) / tokens


def _product_counts(
    query: Segment, key: Segment, axes: list[AxisMask], found: Candidates, layout: Tiles
) -> tuple[Array, Array, Array]:
    """Visited tiles, and pairs of tokens in visited and in FULL tiles, for every pair of boxes."""
    counts = np.ones((3, len(found.q_boxes), len(found.kv_boxes)))
    for mask in axes:
        counts *= _axis_counts(query, key, mask, found, layout)
    for axis in set(range(len(query.extents))) - {mask.query for mask in axes}:
        extent = query.extents[axis]
        tiles = [AxisTiling(extent, box[axis], layout.q_step[axis]).tiles for box in found.q_boxes]
        counts *= np.array([tiles, [extent] * len(tiles), [extent] * len(tiles)])[:, :, None]
    return counts[0], counts[1], counts[2]


def _axis_counts(query: Segment, key: Segment, mask: AxisMask, found: Candidates, layout: Tiles) -> Array:
    """Visited tiles, visited tokens and FULL tokens along one axis, [3, q boxes, kv boxes]."""
    rows, row_of = _axis_tilings(query, mask.query, found.q_boxes, layout.q_step)
    columns, column_of = _axis_tilings(key, mask.key, found.kv_boxes, layout.kv_step)
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


def _best_sampled(
    query: Segment, key: Segment, masks: list[Expr], found: Candidates, model: CostModel
) -> Tiles:
    @cache
    def time(tiles: Tiles) -> float:
        return sum(_sampled_time(query, key, mask, tiles, model) for mask in masks)

    found = replace(
        found,
        q_boxes=_preferred(most_promising(found.q_boxes, MOST_SAMPLED)),
        kv_boxes=_preferred(most_promising(found.kv_boxes, MOST_SAMPLED)),
    )
    both = [box for box in found.q_boxes if box in found.kv_boxes]
    equal = [(box, box) for box in both] or [(found.q_boxes[0], found.kv_boxes[0])]
    best = min((_tiles(*boxes, step, key) for step in found.steps for boxes in equal), key=time)
    best = min((replace(best, kv_tile=box) for box in found.kv_boxes), key=time)
    return min((replace(best, q_tile=box) for box in found.q_boxes), key=time)


def _sampled_time(query: Segment, key: Segment, mask: Expr, tiles: Tiles, model: CostModel) -> float:
    region = Region(
        SegmentTiling(query, tuple(map(AxisTiling, query.extents, tiles.q_tile, tiles.q_step))),
        SegmentTiling(key, tuple(map(AxisTiling, key.extents, tiles.kv_tile, tiles.kv_step))),
    )
    filling = _filling([tiles.q_tile], model)[0] * _filling([tiles.kv_tile], model)[0]
    return float(model.time(*sampled_counts(region, mask), filling))
