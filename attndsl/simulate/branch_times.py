"""The predicted time of patterns whose branches route: selection and attention of all branches together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, prod
from typing import TYPE_CHECKING, Any

from attndsl.ir.bound import BoundIR
from attndsl.ir.route import Dot
from attndsl.simulate.devices import Device
from attndsl.simulate.linear_work import Problem, tiles
from attndsl.simulate.routing import dense_work
from attndsl.simulate.speedup import ratio

if TYPE_CHECKING:
    from attndsl.simulate.report import Report


@dataclass(frozen=True)
class BranchTimes:
    """Seconds of all branches, which run one after the other, and of dense attention."""

    selection_seconds: float
    attention_seconds: float
    dense_seconds: float

    @property
    def selection_share(self) -> float:
        """Selection / selection and attention."""
        return ratio(self.selection_seconds, self.selection_seconds + self.attention_seconds)

    @property
    def speedup(self) -> float:
        """Dense attention / selection and attention."""
        return ratio(self.dense_seconds, self.selection_seconds + self.attention_seconds)

    def to_dict(self) -> dict[str, Any]:
        """Numbers only."""
        return {**vars(self), "selection_share": self.selection_share, "speedup": self.speedup}


def branch_times(
    ir: BoundIR, target: Device, reports: Mapping[str, Report], head_dim: int, batch: int
) -> BranchTimes | None:
    """The times of a pattern of branches; None where none of them routes. reports: by branch."""
    if all(each.routing is None for each in reports.values()):
        return None
    selection = _selection_seconds(ir, reports)
    attention = sum(
        _seconds(branch, target, reports[branch.branch], head_dim, batch) for branch in ir.branches
    )
    problem = _problem(ir.branches[0], target, (target.q_tokens, target.kv_tokens), head_dim, batch)
    whole = replace(problem, queries=ir.query_space.size, keys=ir.key_space.size)
    return BranchTimes(selection, attention, dense_work(whole).seconds)


def _selection_seconds(ir: BoundIR, reports: Mapping[str, Report]) -> float:
    """Of all branches; those that compare the same blocks by the same product pool tokens once."""
    total, pooled = 0.0, set[object]()
    for branch in ir.branches:
        route, routing = branch.route, reports[branch.branch].routing
        if route is None or routing is None:
            continue
        key = route.score, route.queries, route.keys, route.blocks, branch.derived
        shares = isinstance(route.score, Dot) and key in pooled
        total += routing.selection.seconds - (routing.selection.parts.get("pooling", 0.0) if shares else 0.0)
        pooled.add(key)
    return total


def _seconds(ir: BoundIR, target: Device, report: Report, head_dim: int, batch: int) -> float:
    """The attention of one branch."""
    if report.routing is not None:
        return report.routing.attention_seconds.mean
    if report.linear_work is not None:
        return report.linear_work.seconds
    sizes = prod(report.q_tile), prod(report.kv_tile)
    problem = _problem(ir, target, sizes, head_dim, batch)
    pairs = ir.heads * ceil(problem.queries / sizes[0]) * ceil(problem.keys / sizes[1])
    return tiles(problem, round(ratio(pairs, report.tile_speedup_mean)), report.worst_q_tile_visits).seconds


def _problem(ir: BoundIR, target: Device, sizes: tuple[int, int], head_dim: int, batch: int) -> Problem:
    queries, keys = ir.query_space.size, ir.key_space.size
    plain = replace(ir, route=None, derived=None)
    return Problem(plain, target, batch, head_dim, queries, keys, *sizes)
