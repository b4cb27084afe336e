"""From a bound pattern and two tilings to block maps: region by region, one map per head class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import FALSE
from attndsl.passes.simplify import simplify
from attndsl.schedule.axis_product import add_product
from attndsl.schedule.block_map import BlockMap
from attndsl.schedule.classify import classify
from attndsl.schedule.heads import head_classes
from attndsl.schedule.partial import Mask, number_partial
from attndsl.schedule.region import Region
from attndsl.schedule.residual import Residual, ResidualTable
from attndsl.schedule.runs import Runs
from attndsl.schedule.separable import components
from attndsl.schedule.tiling import Tiling

Array = NDArray[Any]


@dataclass(frozen=True)
class Maps:
    """The block maps of all head classes, the map of each head, and the residuals that they refer to."""

    maps: tuple[BlockMap, ...]
    map_of_head: NDArray[np.int64]
    residuals: tuple[Residual, ...]


def build_maps(ir: BoundIR, queries: Tiling, keys: Tiling) -> Maps:
    """The class of every pair of tiles, for every head."""
    table = ResidualTable()
    classes, map_of_head = head_classes(ir)
    regions = [Region(queries.segments[r.query], keys.segments[r.key]) for r in ir.regions]
    found = []
    for head_class in classes:
        runs = Runs(queries.tiles, keys.tiles)
        for place, region, root in zip(ir.regions, regions, head_class.masks, strict=True):
            if root is not FALSE and region.pairs_of_tiles:
                mask = Mask(simplify(place.visible), root, head_class.head, (place.query, place.key))
                origin = queries.first_tile[place.query], keys.first_tile[place.key]
                _add_region(runs, region, mask, table, origin)
        found.append(runs)
    residuals, final = table.settle()
    return Maps(tuple(runs.block_map(final) for runs in found), map_of_head, residuals)


def _add_region(
    runs: Runs, region: Region, mask: Mask, table: ResidualTable, origin: tuple[int, int]
) -> None:
    parts = components(region, mask.root)
    if parts is not None:
        add_product(runs, region, mask, parts, table, origin)
        return
    classified = classify(region, mask.root)
    for boxes in classified.full:
        runs.add_boxes(boxes, *origin, 0)
    for boxes in classified.partial:
        runs.add_boxes(boxes, *origin, number_partial(region, mask, boxes, table))
