"""Remarks that a prediction needs to be read right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from attndsl.ir.expr import InputAt
from attndsl.schedule.schedule import Schedule
from attndsl.simulate.speedup import dense_kv_tiles

if TYPE_CHECKING:
    from attndsl.simulate.routing import RoutingFigures


def notes(schedule: Schedule) -> tuple[str, ...]:
    """What is special about this schedule's figures."""
    return tuple(_notes(schedule))


def _notes(schedule: Schedule) -> Iterator[str]:
    if schedule.visited_tiles == 0:
        yield "nothing is visible: the speedups have no finite value"
        return
    inputs = {
        leaf.name
        for region in schedule.ir.regions
        for leaf in region.visible.leaves
        if isinstance(leaf, InputAt)
    }
    if inputs:
        yield (
            f"the mask reads {', '.join(sorted(inputs))}: the figures are for inputs that hide nothing; no "
            "tile is known to be full before the call"
        )
    if schedule.ir.route is not None or schedule.ir.groups:
        yield "these figures are of the mask alone: `attndsl simulate` predicts what the route keeps"
    if 0.0 < (share := _dense_share(schedule)) < 1.0:
        yield f"{share:.1%} of the q tiles visit every kv tile: read the mean, not the worst"
    if len(schedule.maps) > 1:
        yield "heads differ: the tile speedup is that of the worst head, densities are means"


def _dense_share(schedule: Schedule) -> float:
    """The part of the q tiles, over all heads, that visit every kv tile."""
    dense = dense_kv_tiles(schedule.kv_tiling)
    shares = [float((block_map.visited >= dense).mean()) for block_map in schedule.maps]
    return float(np.mean([shares[number] for number in schedule.map_of_head]))


def routing_notes(figures: RoutingFigures) -> tuple[str, ...]:
    """What is special about the figures of a route."""
    dense = figures.worst_q_tile_visits >= figures.dense_kv_tiles > 0
    worst = ("some queries attend to all keys: read the mean, not the worst",) if dense else ()
    return figures.assumptions + worst
