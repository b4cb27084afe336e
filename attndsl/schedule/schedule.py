"""The schedule: what the compiler knows about a bound pattern before it prints a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import BoundIR
from attndsl.ir.evaluate import check_inputs
from attndsl.ir.expr import Expr, Head
from attndsl.ir.headline import box
from attndsl.schedule.block_map import BlockMap
from attndsl.schedule.count import visible_pairs
from attndsl.schedule.expand import expand
from attndsl.schedule.heads import HeadClass, head_classes
from attndsl.schedule.refine import refined_maps
from attndsl.schedule.tiling import Tiling

Array = NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Schedule:
    """The tiles of a bound pattern and, for each head, which kv tiles each q tile visits.

    maps: the distinct block maps. map_of_head: which of them a head uses, int64 [heads]. residuals: the
    predicates of PARTIAL tiles; number r of a block map is `residuals[r - 1]`, over the coordinates of the
    tiles' own segments. residual_regions: the (query segment, key segment) of each, None where it mentions
    no coordinate and serves all. q_tile, kv_tile: tokens per axis of a tile of the first segment, as asked
    for or chosen; q_step, kv_step: the distance of a tile's tokens along each axis. inputs: the values of
    declared inputs that it was refined with.
    """

    ir: BoundIR
    q_tiling: Tiling
    kv_tiling: Tiling
    maps: tuple[BlockMap, ...]
    map_of_head: NDArray[np.int64]
    residuals: tuple[Expr, ...]
    residual_regions: tuple[tuple[int, int] | None, ...]
    q_tile: tuple[int, ...]
    kv_tile: tuple[int, ...]
    q_step: tuple[int, ...]
    kv_step: tuple[int, ...]
    inputs: Mapping[str, Array] | None = None

    @cached_property
    def per_head(self) -> bool:
        """Whether the mask mentions the head; figures then add up all heads."""
        return any(Head() in region.visible.leaves for region in self.ir.regions)

    @cached_property
    def head_classes(self) -> list[HeadClass]:
        """The heads of each block map, by what they see."""
        return head_classes(self.ir)[0]

    @property
    def visited_tiles(self) -> int:
        """Pairs of tiles that are visited."""
        return sum(self.maps[number].visited_tiles for number in self._counted)

    @property
    def full_tiles(self) -> int:
        """Visited pairs of tiles in which every pair of tokens is visible."""
        return sum(self.maps[number].full_tiles for number in self._counted)

    @property
    def partial_tiles(self) -> int:
        """Visited pairs of tiles whose residual decides pair by pair."""
        return self.visited_tiles - self.full_tiles

    @property
    def total_tiles(self) -> int:
        """All pairs of tiles."""
        return len(self._counted) * self.q_tiling.tiles * self.kv_tiling.tiles

    @property
    def tile_speedup(self) -> float:
        """All pairs of tiles over visited ones; infinite where none is visited."""
        return self.total_tiles / self.visited_tiles if self.visited_tiles else float("inf")

    @property
    def worst_q_tile_visits(self) -> int:
        """The most kv tiles that any q tile visits."""
        return max((int(block_map.visited.max(initial=0)) for block_map in self.maps), default=0)

    @cached_property
    def visible_pairs(self) -> int:
        """Visible pairs of tokens, counted exactly without writing out the mask.

        Raises AttnScheduleError A0510 where the mask depends on inputs and the schedule is not refined.
        """
        return visible_pairs(self.ir, self.q_tiling, self.kv_tiling, self.inputs)

    @property
    def density(self) -> float:
        """Visible pairs of tokens over all pairs; 0 where there are none."""
        pairs = len(self._counted) * self.ir.query_space.size * self.ir.key_space.size
        return self.visible_pairs / pairs if pairs else 0.0

    def __repr__(self) -> str:
        tiles = f"q tile {box(self.q_tile, self.q_step)}, kv tile {box(self.kv_tile, self.kv_step)}"
        visited = f"{self.visited_tiles:,} of {self.total_tiles:,} pairs of tiles visited"
        return f"Schedule({self.ir.name}, {tiles}, {visited}, {self.full_tiles:,} full)"

    def to_mask(self, inputs: Mapping[str, Any] | None = None) -> NDArray[np.bool_]:
        """The mask that a kernel computes from this schedule, bool [heads or 1, Nq, Nk].

        FULL tiles are visible, PARTIAL ones evaluate their residual. inputs: arrays [tokens] by name. Raises
        AttnBindError A0408 above 2**28 entries.
        """
        known = inputs if inputs is not None or self.inputs is None else self.inputs
        return expand(self, check_inputs(self.ir, known or {}))

    def refine(self, inputs: Mapping[str, Any]) -> Schedule:
        """The schedule for known inputs, arrays [tokens] by name: visits fewer tiles, more of them FULL.

        Residuals keep their numbers, so that one kernel serves all refined schedules.
        """
        return refined_maps(self, check_inputs(self.ir, inputs)) if self.ir.mask_inputs else self

    @property
    def _counted(self) -> list[int]:
        """The maps of all heads that figures count: one head stands for all where the mask is the same."""
        return [int(number) for number in (self.map_of_head if self.per_head else self.map_of_head[:1])]
