"""`simulate`: the tiles that a kernel would visit, and the speedups that follow; nothing is run.

Definitions follow the Generalized Neighborhood Attention paper (A. Hassani et al., 2025,
arXiv:2504.16922): a q tile's time is proportional to the kv tiles it visits, and the q tile that visits
the most decides the speedup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

from attndsl.ir.bound import BoundIR, Segment
from attndsl.ir.plan import Plan
from attndsl.ir.plan_checks import no_route
from attndsl.passes.branch_spaces import refuse_schedule
from attndsl.schedule.build import build, schedule_with
from attndsl.schedule.schedule import Schedule
from attndsl.schedule.tile_arguments import Extents, checked_tile
from attndsl.simulate import devices
from attndsl.simulate.blame import Blame, blame
from attndsl.simulate.devices import Device
from attndsl.simulate.grouped import grouped_figures
from attndsl.simulate.inputs import is_data_dependent
from attndsl.simulate.linear import LinearFigures, linear_figures
from attndsl.simulate.linear_work import Work
from attndsl.simulate.notes import notes, routing_notes
from attndsl.simulate.plan_draws import DEFAULT, Distribution
from attndsl.simulate.routing import RoutingFigures, routing_figures
from attndsl.simulate.speedup import (
    HeadFigures,
    check_share,
    check_size,
    dense_kv_tiles,
    end_to_end,
    head_figures,
    ratio,
)
from attndsl.simulate.text import report_as_dict, report_as_text
from attndsl.simulate.tiles import best_tiles


@dataclass(frozen=True, repr=False)
class Report:
    """The prediction for one bound pattern. Speedups are over dense attention with the same tiles.

    density: visible pairs / all pairs, mean over heads. tile_speedup: kv tiles of dense attention / the most
    kv tiles that any q tile visits. tile_speedup_mean: all pairs of tiles / visited pairs. Both are `inf`
    where nothing is visible. Tile counts are over one head where the heads do not differ, else over all.
    linear: how linear weights are computed, None for all other weights; all other figures are those of
    tiles, whatever is used. routing: of patterns with a route, whose figures are means over plans and whose
    tile counts are over all heads; None for all others.
    """

    name: str
    device: Device
    tokens: int
    key_tokens: int
    heads: int
    density: float
    q_tile: tuple[int, ...]
    kv_tile: tuple[int, ...]
    q_step: tuple[int, ...]
    kv_step: tuple[int, ...]
    tile_speedup: float
    tile_speedup_mean: float
    dense_kv_tiles: int
    worst_q_tile_visits: int
    visited_tiles: int
    total_tiles: int
    full_tiles: int
    contiguous: bool
    data_dependent: bool
    attention_share: float | None
    partial_because: tuple[Blame, ...]
    head_figures: tuple[HeadFigures, ...]
    notes: tuple[str, ...]
    linear: LinearFigures | None = None
    routing: RoutingFigures | None = None

    @property
    def flop_speedup(self) -> float:
        """1 / density."""
        return ratio(1.0, self.density)

    @property
    def partial_tiles(self) -> int:
        """Visited tiles that are not FULL."""
        return self.visited_tiles - self.full_tiles

    @property
    def end_to_end_speedup(self) -> float | None:
        """Of a model that spends `attention_share` of its time in dense attention; None without a share."""
        return end_to_end(self.tile_speedup, self.attention_share)

    @property
    def end_to_end_speedup_mean(self) -> float | None:
        """The same by tile_speedup_mean."""
        return end_to_end(self.tile_speedup_mean, self.attention_share)

    @property
    def flop_end_to_end_speedup(self) -> float | None:
        """The same by flop_speedup."""
        return end_to_end(self.flop_speedup, self.attention_share)

    @property
    def perfectly_block_sparse(self) -> bool:
        """Whether no visited tile is PARTIAL, so that the tile speedup can reach the FLOP speedup."""
        return self.partial_tiles == 0

    @property
    def algorithm(self) -> str:
        """What computes the pattern: 'recurrence', 'sums' or 'tiles'."""
        if self.routing is not None:
            return "sums" if self.routing.sums else "tiles"
        return self.linear.algorithm if self.linear else "tiles"

    @property
    def linear_work(self) -> Work | None:
        """What linear weights cost without tiles; None where tiles are used, or there are none."""
        if self.routing is not None:
            return self.routing.sums
        return self.linear.linear if self.linear and self.algorithm != "tiles" else None

    @property
    def part_of_tiles(self) -> float:
        """The time of the algorithm over that of its tiles: 1, or what is predicted for linear weights."""
        if self.routing is not None:
            return ratio(self.routing.attention_seconds.mean, self.routing.tiles_seconds.mean)
        by_tiles = self.linear.quadratic if self.linear else None
        work = self.linear_work
        return ratio(work.seconds, by_tiles.seconds) if work and by_tiles else 1.0

    @property
    def crossover_tokens(self) -> int | None:
        """The least length from which on a form in linear time is predicted to be faster than tiles."""
        return self.linear.crossover_tokens if self.linear else None

    def to_dict(self) -> dict[str, Any]:
        """Numbers, texts and lists only, for JSON; infinite speedups are None."""
        return report_as_dict(self)

    def __str__(self) -> str:
        return report_as_text(self)

    __repr__ = __str__


def simulate(
    ir: BoundIR,
    *,
    device: str = "b200",
    q_tile: Extents | None = None,
    kv_tile: Extents | None = None,
    attention_share: float | None = None,
    head_dim: int = 128,
    batch: int = 1,
    plan: Plan | Mapping[str, Plan] | None = None,
    distribution: Distribution = DEFAULT,
) -> Report:
    """Predict the tile counts and speedups of a bound pattern.

    q_tile, kv_tile: tokens per axis of the main space; by default boxes of as many tokens as the device's
    kernels take, in the shape that visits the fewest tiles. attention_share: from 0 to 1. head_dim, batch:
    for the times of linear weights and routes. plan: of a route; drawn from `distribution` by default, with
    tiles that cut units of the route, of at most as many tokens. Raises AttnScheduleError (A05xx), and
    AttnCallError A0690 to A0696 for a plan that does not fit.
    """
    refuse_schedule(ir)
    target, share = devices.device(device), check_share(attention_share)
    sizes = check_size("head_dim", head_dim), check_size("batch", batch)
    if ir.route is not None or ir.groups:
        query, key = ir.query_space.segments[0], ir.key_space.segments[0]
        q_tokens = _tokens(q_tile, query, "q_tile", target.q_tokens)
        kv_tokens = _tokens(kv_tile, key, "kv_tile", target.kv_tokens)
        predict: Callable[..., RoutingFigures] = grouped_figures if ir.groups else routing_figures
        figures = predict(ir, target, (q_tokens, kv_tokens), *sizes, plan, distribution)
        return routed_report(ir, target, share, figures)
    if plan is not None:
        raise no_route(ir.name)
    return report(_schedule(ir, target, q_tile, kv_tile), target, share, *sizes)


def _tokens(tile: Extents | None, segment: Segment, name: str, of_device: int) -> int:
    """The most tokens of a tile of a plan."""
    return of_device if tile is None else prod(checked_tile(tile, segment, name))


def _schedule(ir: BoundIR, target: Device, q_tile: Extents | None, kv_tile: Extents | None) -> Schedule:
    if q_tile is not None and kv_tile is not None:
        return build(ir, q_tile=q_tile, kv_tile=kv_tile)
    query, key = ir.query_space.segments[0], ir.key_space.segments[0]
    tiles = best_tiles(
        ir,
        target,
        None if q_tile is None else checked_tile(q_tile, query, "q_tile"),
        None if kv_tile is None else checked_tile(kv_tile, key, "kv_tile"),
    )
    return schedule_with(ir, tiles.q_tile, tiles.kv_tile, tiles.q_step, tiles.kv_step)


class Counted(Protocol):
    """What a schedule and the figures of plans have in common."""

    @property
    def q_tile(self) -> tuple[int, ...]:
        """Tokens along each axis."""

    @property
    def kv_tile(self) -> tuple[int, ...]:
        """Tokens along each axis."""

    @property
    def worst_q_tile_visits(self) -> int:
        """The most kv tiles that a q tile visits."""

    @property
    def visited_tiles(self) -> int:
        """Pairs of tiles."""

    @property
    def total_tiles(self) -> int:
        """Pairs of tiles."""

    @property
    def full_tiles(self) -> int:
        """Pairs of tiles."""


def _report(ir: BoundIR, target: Device, share: float | None, tiles: Counted, **own: Any) -> Report:
    """A report with what every prediction has. own: the fields in which they differ."""
    return Report(
        name=ir.name,
        device=target,
        tokens=ir.query_space.size,
        key_tokens=ir.key_space.size,
        heads=ir.heads,
        q_tile=tiles.q_tile,
        kv_tile=tiles.kv_tile,
        worst_q_tile_visits=tiles.worst_q_tile_visits,
        visited_tiles=tiles.visited_tiles,
        total_tiles=tiles.total_tiles,
        full_tiles=tiles.full_tiles,
        attention_share=share,
        **own,
    )


def report(
    schedule: Schedule, target: Device, share: float | None, head_dim: int = 128, batch: int = 1
) -> Report:
    """The prediction for a schedule."""
    ir, figures = schedule.ir, head_figures(schedule)
    dense = dense_kv_tiles(schedule.kv_tiling)
    return _report(
        ir,
        target,
        share,
        schedule,
        density=sum(each.density * len(each.heads) for each in figures) / ir.heads,
        q_step=schedule.q_step,
        kv_step=schedule.kv_step,
        tile_speedup=ratio(dense, schedule.worst_q_tile_visits),
        tile_speedup_mean=ratio(schedule.total_tiles, schedule.visited_tiles),
        dense_kv_tiles=dense,
        contiguous=all(each.is_contiguous for each in schedule.maps),
        data_dependent=is_data_dependent(ir),
        partial_because=blame(schedule),
        head_figures=figures,
        notes=notes(schedule),
        linear=linear_figures(schedule, target, head_dim, batch),
    )


def routed_report(ir: BoundIR, target: Device, share: float | None, figures: RoutingFigures) -> Report:
    """The prediction for plans of a route: means over them."""
    return _report(
        ir,
        target,
        share,
        figures,
        density=figures.density.mean,
        q_step=(1,) * len(figures.q_tile),
        kv_step=(1,) * len(figures.kv_tile),
        tile_speedup=figures.tile_speedup.mean,
        tile_speedup_mean=figures.tile_speedup_mean.mean,
        dense_kv_tiles=figures.dense_kv_tiles,
        contiguous=False,
        data_dependent=True,
        partial_because=(),
        head_figures=(),
        notes=routing_notes(figures),
        routing=figures,
    )
