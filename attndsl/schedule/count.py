"""Counts the visible pairs of tokens exactly, following the border of the mask instead of its area."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.diagnostics import AttnScheduleError
from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import FALSE, Expr, Head
from attndsl.schedule.classify import split
from attndsl.schedule.heads import head_classes
from attndsl.schedule.pairs import CHUNK, Pairs, all_pairs
from attndsl.schedule.region import Region
from attndsl.schedule.separable import axis_problem, components
from attndsl.schedule.tiling import Tiling

Array = NDArray[Any]


def visible_pairs(ir: BoundIR, queries: Tiling, keys: Tiling, inputs: Mapping[str, Array] | None) -> int:
    """Visible pairs of all heads, or of one head if the mask is the same for all."""
    if ir.mask_inputs and inputs is None:
        raise AttnScheduleError(
            "A0510",
            f"the density of `{ir.name}` depends on its inputs",
            help="refine the schedule with them first: `schedule.refine(inputs)`",
        )
    classes, class_of_head = head_classes(ir)
    per_head = any(Head() in region.visible.leaves for region in ir.regions)
    heads = np.bincount(class_of_head).tolist() if per_head else [1]
    regions = [Region(queries.segments[r.query], keys.segments[r.key], inputs) for r in ir.regions]
    return sum(
        count * _visible(region, mask)
        for head_class, count in zip(classes, heads, strict=True)
        for region, mask in zip(regions, head_class.masks, strict=True)
    )


def _visible(region: Region, root: Expr) -> int:
    if root is FALSE or not region.pairs_of_tiles:
        return 0
    parts = components(region, root)
    if parts is None:
        return _descend(region, root, all_pairs(region.axes, region.axes.coarsest))
    used = {part.query for part in parts}
    free = prod(axis.extent for number, axis in enumerate(region.tilings[0].axes) if number not in used)
    return free * prod(_visible(*axis_problem(region, part)[:2]) for part in parts)


def _descend(region: Region, root: Expr, pairs: Pairs) -> int:
    """Visible pairs inside pairs of boxes: whole boxes where they are FULL, smaller ones where undecided."""
    full, open_pairs = split(region, root, pairs)
    visible = int(full.tokens().sum())
    if pairs.level == region.axes.finest:
        return visible
    size = max(1, CHUNK >> len(region.axes.all))
    return visible + sum(_descend(region, root, chunk.children()[0]) for chunk in open_pairs.chunks(size))
