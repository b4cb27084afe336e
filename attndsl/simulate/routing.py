"""Predictions for routed patterns: what plans visit, given or random, and what selection costs beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite, prod
from statistics import fmean, pstdev
from typing import Any

from attndsl.ir.bound import BoundIR
from attndsl.ir.plan import Plan
from attndsl.ir.plan_checks import check_units, checked_plan
from attndsl.simulate.devices import Device
from attndsl.simulate.linear_work import HALF, SINGLE, Problem, Work, sums_of_blocks, tiles, visits
from attndsl.simulate.machine import Kernel, seconds
from attndsl.simulate.plan_draws import Distribution, Draws
from attndsl.simulate.plan_lists import Lists, lists_of_plan, with_rest
from attndsl.simulate.plan_tiles import PlanTiles, Regime, TileCounts
from attndsl.simulate.selection_work import SelectionWork, selection_work
from attndsl.simulate.speedup import ratio


@dataclass(frozen=True)
class Spread:
    """A figure over all plans. deviation: the standard deviation."""

    mean: float
    deviation: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """The spread of some figures; infinite ones have no deviation."""
    finite = all(map(isfinite, values))
    return Spread(fmean(values), pstdev(values) if finite else 0.0, min(values), max(values))


@dataclass(frozen=True)
class RoutingFigures:
    """What plans of a route visit. Tile counts are means over plans, and sums over all heads.

    regime: how kernels compute them. distribution: what plans were drawn from; None for a plan that was
    given, whose batch elements are the plans. heads: that were looked at in each plan. kept: pairs of tokens
    in lists / all pairs. density: pairs in lists that the mask shows / all pairs. tile_speedup: dense kv
    tiles / the most that a q tile visits; where queries are gathered, that a query meets. imbalance: the most
    visits of a q tile (or query) / the mean. key_imbalance: queries that the most wanted key unit gathers /
    the mean. merged_outputs: parts of outputs of gathered queries. gathered_keys: keys that are copied for
    tiles of queries. selection: choosing the plan. attention_seconds: computing it. sums: the work of linear
    weights by states of blocks, None where pairs are computed; tiles_seconds: of the same plans by tiles.
    dense_seconds: of dense attention.
    """

    regime: Regime
    distribution: Distribution | None
    plans: int
    heads: int
    batch: int
    head_dim: int
    q_tile: tuple[int, ...]
    kv_tile: tuple[int, ...]
    dense_kv_tiles: int
    total_tiles: int
    worst_q_tile_visits: int
    visited_tiles: int
    full_tiles: int
    kept: Spread
    density: Spread
    tile_speedup: Spread
    tile_speedup_mean: Spread
    imbalance: Spread
    key_imbalance: Spread | None
    merged_outputs: float
    gathered_keys: float
    selection: SelectionWork
    attention_seconds: Spread
    sums: Work | None
    tiles_seconds: Spread
    dense_seconds: float
    assumptions: tuple[str, ...]

    @property
    def selection_share(self) -> float:
        """Selection / selection and attention."""
        return ratio(self.selection.seconds, self.selection.seconds + self.attention_seconds.mean)

    @property
    def speedup(self) -> float:
        """Dense attention / selection and attention."""
        return ratio(self.dense_seconds, self.selection.seconds + self.attention_seconds.mean)

    def to_dict(self) -> dict[str, Any]:
        """Numbers, texts and lists only."""
        return asdict(self) | {"selection_share": self.selection_share, "speedup": self.speedup}


@dataclass(frozen=True)
class _Figures:
    """The figures of one plan."""

    counts: tuple[TileCounts, ...]
    pairs: int
    dense_kv_tiles: int
    total_tiles: int
    seconds: float

    def total(self, name: str) -> float:
        """The mean over the heads that were looked at."""
        return fmean(getattr(each, name) for each in self.counts)

    @property
    def tile_speedup(self) -> float:
        return ratio(self.dense_kv_tiles, max(each.worst for each in self.counts))

    @property
    def tile_speedup_mean(self) -> float:
        return ratio(self.total_tiles, self.total("visited"))


def routing_figures(
    ir: BoundIR, target: Device, tokens: tuple[int, int], head_dim: int, batch: int,
    plan: Plan | None, distribution: Distribution,
) -> RoutingFigures:  # fmt: skip
    """The figures of a bound pattern with a route. tokens: of q and kv tiles at most.

    plan: a given one; without it plans are drawn. Raises AttnCallError A0692 to A0696 for a plan that does
    not fit.
    """
    if plan is not None:
        check_units(ir, checked_plan(ir, plan, None, ir.heads))
    found = PlanTiles(ir, *tokens)
    draws = Draws(ir, distribution, found.run)
    boxes = found.q_tile, found.kv_tile
    problem = problem_of(ir, target, (prod(found.q_tile), prod(found.kv_tile)), head_dim, batch)
    given = _given(plan) if plan is not None else _drawn(draws, found)
    step = ir.heads // plan.heads if plan is not None else 1
    counts = [tuple(found.count(each, number * step) for number, each in enumerate(lists)) for lists in given]
    is_drawn = plan is None
    return figures_of(
        problem, found.regime, boxes, (found.q_tiles, found.dense_kv_tiles), counts,
        selection_work(ir, target, head_dim, batch), distribution if is_drawn else None,
        draws.assumptions if is_drawn else (), _sums(problem, found),
    )  # fmt: skip


Boxes = tuple[tuple[int, ...], tuple[int, ...]]


def figures_of(
    problem: Problem, regime: Regime, boxes: Boxes, dense: tuple[int, int],
    counts: Sequence[tuple[TileCounts, ...]], selection: SelectionWork, distribution: Distribution | None,
    assumptions: tuple[str, ...], sums: Work | None = None,
) -> RoutingFigures:  # fmt: skip
    """The figures of plans from what the heads of each visit.

    boxes: a q tile and a kv tile. dense: q tiles, and kv tiles of each, of dense attention. sums: where
    states of blocks are added.
    """
    ir, (q_tiles, kv_tiles) = problem.ir, dense
    pairs = ir.query_space.size * ir.key_space.size
    figures = [
        _Figures(each, pairs, kv_tiles, q_tiles * kv_tiles, _attention_seconds(problem, each))
        for each in counts
    ]
    by_tiles = spread([each.seconds for each in figures])
    return RoutingFigures(
        regime=regime,
        distribution=distribution,
        plans=len(figures),
        heads=len(figures[0].counts),
        batch=problem.batch,
        head_dim=problem.head_dim,
        q_tile=boxes[0],
        kv_tile=boxes[1],
        dense_kv_tiles=kv_tiles,
        total_tiles=figures[0].total_tiles * ir.heads,
        worst_q_tile_visits=round(fmean(max(c.worst for c in each.counts) for each in figures)),
        visited_tiles=round(ir.heads * fmean(each.total("visited") for each in figures)),
        full_tiles=round(ir.heads * fmean(each.total("full") for each in figures)),
        kept=spread([each.total("listed") / max(each.pairs, 1) for each in figures]),
        density=spread([each.total("visible") / max(each.pairs, 1) for each in figures]),
        tile_speedup=spread([each.tile_speedup for each in figures]),
        tile_speedup_mean=spread([each.tile_speedup_mean for each in figures]),
        imbalance=spread([max(c.imbalance for c in each.counts) for each in figures]),
        key_imbalance=_key_imbalance(figures),
        merged_outputs=ir.heads * fmean(each.total("slots") for each in figures),
        gathered_keys=ir.heads * fmean(each.total("gathered_keys") for each in figures),
        selection=selection,
        attention_seconds=spread([sums.seconds]) if sums else by_tiles,
        sums=sums,
        tiles_seconds=by_tiles,
        dense_seconds=dense_work(problem).seconds,
        assumptions=assumptions,
    )


def _sums(problem: Problem, found: PlanTiles) -> Work | None:
    """The work by states of blocks, where these are added."""
    form = problem.ir.linear
    if form is None or form.algorithm != "sums":
        return None
    return sums_of_blocks(problem, (len(found.queries.sizes), len(found.keys.sizes)))


def _key_imbalance(figures: Sequence[_Figures]) -> Spread | None:
    worst = [max(each.key_imbalance or 0.0 for each in plan.counts) for plan in figures]
    return spread(worst) if any(worst) else None


def _given(plan: Plan) -> Iterator[list[Lists]]:
    for element in range(plan.batch):
        yield [lists_of_plan(plan, element, head) for head in range(plan.heads)]


def _drawn(draws: Draws, found: PlanTiles) -> Iterator[list[Lists]]:
    routed = draws.queries.count, draws.keys.count
    units = len(found.queries.sizes), len(found.keys.sizes)
    for lists in draws:
        yield [with_rest(each, routed, units) for each in lists]


def problem_of(ir: BoundIR, target: Device, tokens: tuple[int, int], head_dim: int, batch: int) -> Problem:
    """The attention without its route. tokens: of a q tile and a kv tile."""
    plain = replace(ir, route=None, groups=())
    return Problem(plain, target, batch, head_dim, ir.query_space.size, ir.key_space.size, *tokens)


def _attention_seconds(problem: Problem, counts: Sequence[TileCounts]) -> float:
    """Of the tiles, of gathering keys, and of merging partial outputs."""
    heads = problem.ir.heads
    visited, longest = fmean(each.visited for each in counts), max(each.longest for each in counts)
    time = tiles(problem, round(heads * visited), longest).seconds
    every = problem.batch * heads
    slots, keys = (every * fmean(getattr(c, name) for c in counts) for name in ("slots", "gathered_keys"))
    if slots:  # queries are read, and a part with its total is written and read, once for each unit
        traffic = slots * (HALF * problem.head_dim + 2 * SINGLE * (problem.head_dim + 1))
        time += seconds(Kernel(0, 0.0, 0.0, traffic), problem.device)
    if keys:  # keys and values are copied: read, written, read
        time += seconds(Kernel(0, 0.0, 0.0, keys * 2 * 3 * HALF * problem.head_dim), problem.device)
    return time


def dense_work(problem: Problem) -> Work:
    """Dense attention with the device's own tiles."""
    device = problem.device
    whole = replace(
        problem,
        q_tile=min(device.q_tokens, max(problem.queries, 1)),
        kv_tile=min(device.kv_tokens, max(problem.keys, 1)),
    )
    return tiles(whole, *visits(whole, causal=False))
