"""Refinement at call time: inputs that are known rule tiles out and make others FULL.

A refined schedule keeps the tilings and residuals of the static one, so that the compiled kernel still fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.expr import FALSE, Expr, InputAt
from attndsl.schedule.block_map import FULL, BlockMap
from attndsl.schedule.classify import classify
from attndsl.schedule.decide import decide_quickly
from attndsl.schedule.region import Region
from attndsl.schedule.runs import Runs

if TYPE_CHECKING:
    from attndsl.schedule.schedule import Schedule

Array = NDArray[Any]


def refined_maps(schedule: Schedule, inputs: Mapping[str, Array]) -> Schedule:
    """The schedule with block maps for these inputs, arrays [tokens] by name."""
    queries, keys = schedule.q_tiling, schedule.kv_tiling
    places = [(place.query, place.key) for place in schedule.ir.regions]
    regions = [Region(queries.segments[q], keys.segments[k], inputs) for q, k in places]
    maps = []
    for static, head_class in zip(schedule.maps, schedule.head_classes, strict=True):
        runs = Runs(queries.tiles, keys.tiles)
        for (query, key), region, root in zip(places, regions, head_class.masks, strict=True):
            first, last = queries.first_tile[query], keys.first_tile[key]
            window = (first, first + region.tilings[0].tiles, last, last + region.tilings[1].tiles)
            if any(isinstance(leaf, InputAt) for leaf in root.leaves):
                _add_refined(runs, region, root, static, window)
            else:
                _add_static(runs, static, window)
        maps.append(runs.block_map(np.arange(len(schedule.residuals) + 1, dtype=np.int16)))
    return replace(schedule, maps=tuple(maps), inputs=inputs)


def _add_refined(runs: Runs, region: Region, root: Expr, static: BlockMap, window: tuple[int, ...]) -> None:
    """Classifies a region again. What stays PARTIAL keeps the residual that it has in the static map."""
    if root is FALSE or not region.pairs_of_tiles:
        return
    first_row, _, first_column, _ = window
    classified = classify(region, root, settle=decide_quickly)
    for boxes in classified.full:
        runs.add_boxes(boxes, first_row, first_column, FULL)
    (partial,) = classified.partial  # tiles only: the inputs are known
    row, column = partial.query + first_row, partial.key + first_column
    residual = static.residual_of(row, column)
    kept = residual >= 0
    runs.add(row[kept], column[kept], column[kept] + 1, residual[kept])


def _add_static(runs: Runs, static: BlockMap, window: tuple[int, ...]) -> None:
    """The runs of a region that depends on no input, cut out of the static map."""
    first_row, last_row, first_column, last_column = window
    begin, end = np.maximum(static.begin, first_column), np.minimum(static.end, last_column)
    kept = (static.row >= first_row) & (static.row < last_row) & (begin < end)
    runs.add(static.row[kept], begin[kept], end[kept], static.residual[kept])
