"""Speedups from tile counts, for a whole schedule and for each class of heads."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np

from attndsl.diagnostics import AttnScheduleError
from attndsl.ir.bound import BoundIR
from attndsl.schedule.heads import HeadClass as Masks
from attndsl.schedule.heads import head_classes as masks_by_head
from attndsl.schedule.schedule import Schedule
from attndsl.schedule.tiling import Tiling
from attndsl.simulate.counting import visible_pairs
from attndsl.simulate.inputs import possible


@dataclass(frozen=True)
class HeadFigures:
    """The figures of the heads that share one mask; counts are for one of them."""

    heads: tuple[int, ...]
    density: float
    tile_speedup: float
    tile_speedup_mean: float
    visited_tiles: int
    partial_tiles: int

    @property
    def flop_speedup(self) -> float:
        """1 / density."""
        return ratio(1.0, self.density)


def ratio(whole: float, part: float) -> float:
    """`whole / part`, infinite where nothing is left to do."""
    return whole / part if part else math.inf


def end_to_end(speedup: float, share: float | None) -> float | None:
    """Speedup of a model whose attention, `share` of its time, gets faster (Amdahl's law)."""
    return None if share is None else ratio(1.0, 1.0 - share + share / speedup)


def check_share(share: float | None) -> float | None:
    """The attention share, if there is one. Raises AttnScheduleError A0551 unless it lies between 0 and 1."""
    if share is None:
        return None
    if not isinstance(share, Real) or isinstance(share, bool) or not 0 <= share <= 1:
        raise AttnScheduleError(
            "A0551",
            f"attention_share is {share!r}",
            help="pass the part of the model's time that dense attention takes, from 0 to 1, such as 0.6",
        )
    return float(share)


def check_size(name: str, size: int) -> int:
    """A head size or a batch. Raises AttnScheduleError A0553 unless it is a whole number from 1 on."""
    if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
        raise AttnScheduleError(
            "A0553", f"{name} is {size!r}", help=f"pass a whole number from 1 on, such as {name}=64"
        )
    return int(size)


def dense_kv_tiles(keys: Tiling) -> int:
    """The kv tiles that dense attention visits per q tile: of the same extents, of neighbouring tokens."""
    return sum(math.prod(-(-axis.extent // axis.size) for axis in segment.axes) for segment in keys.segments)


def head_figures(schedule: Schedule) -> tuple[HeadFigures, ...]:
    """The figures of each class of heads with equal masks; densities are for inputs that hide nothing."""
    classes, class_of_head = masks_by_head(schedule.ir)
    dense = dense_kv_tiles(schedule.kv_tiling)
    figures = []
    for number, (block_map, masks) in enumerate(zip(schedule.maps, classes, strict=True)):
        visited = block_map.visited_tiles
        figures.append(
            HeadFigures(
                heads=tuple(np.flatnonzero(class_of_head == number).tolist()),
                density=_density(schedule, masks),
                tile_speedup=ratio(dense, int(block_map.visited.max(initial=0))),
                tile_speedup_mean=ratio(block_map.rows * block_map.columns, visited),
                visited_tiles=visited,
                partial_tiles=visited - block_map.full_tiles,
            )
        )
    return tuple(figures)


def _density(schedule: Schedule, masks: Masks) -> float:
    """Visible pairs / all pairs of one class of heads."""
    pairs = schedule.ir.query_space.size * schedule.ir.key_space.size
    ir = one_head(schedule.ir, masks)
    return visible_pairs(ir, schedule.q_tiling, schedule.kv_tiling) / pairs


def one_head(ir: BoundIR, masks: Masks) -> BoundIR:
    """The mask of one class of heads as a pattern of its own; inputs hide nothing."""
    regions = tuple(
        replace(region, visible=possible(mask)) for region, mask in zip(ir.regions, masks.masks, strict=True)
    )
    return replace(ir, regions=regions, heads=1, kv_heads=1, inputs=())
