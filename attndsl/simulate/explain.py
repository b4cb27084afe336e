"""`explain`: where a pattern's cost comes from, as formulas, clauses and numbers, and what would lower it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attndsl.ir.bound import BoundIR
from attndsl.passes.branch_spaces import refuse_schedule
from attndsl.schedule.build import schedule_with
from attndsl.schedule.tile_arguments import Extents
from attndsl.simulate.choices import Choice
from attndsl.simulate.cost import Cost, cost
from attndsl.simulate.devices import device as find_device
from attndsl.simulate.explain_text import explanation_as_text
from attndsl.simulate.optimize import candidate_tiles
from attndsl.simulate.rebind import Values
from attndsl.simulate.report import Report, report
from attndsl.simulate.speedup import check_size
from attndsl.simulate.suggest import suggestions
from attndsl.simulate.text import plain


@dataclass(frozen=True, repr=False)
class Explanation:
    """What `explain` found. suggestions: settings that make the pattern perfectly block-sparse."""

    report: Report
    parameters: Values
    head_dim: int
    costs: tuple[Cost, ...]
    runs_per_q_tile: float
    suggestions: tuple[Choice, ...]

    @property
    def flops(self) -> float:
        """Of all heads, forward, for one batch entry."""
        return sum(each.flops * len(each.heads) for each in self.costs)

    def to_dict(self) -> dict[str, Any]:
        """Numbers, texts and lists only, for JSON."""
        data: dict[str, Any] = plain(
            {
                "report": self.report.to_dict(),
                "parameters": dict(self.parameters),
                "head_dim": self.head_dim,
                "flops": self.flops,
                "costs": [each.to_dict() for each in self.costs],
                "runs_per_q_tile": self.runs_per_q_tile,
                "suggestions": [choice.to_dict() for choice in self.suggestions],
            }
        )
        return data

    def __str__(self) -> str:
        return explanation_as_text(self)

    __repr__ = __str__


def explain(
    ir: BoundIR,
    *,
    device: str = "b200",
    q_tile: Extents | None = None,
    kv_tile: Extents | None = None,
    head_dim: int = 128,
) -> Explanation:
    """Explain the cost of a bound pattern. Tiles as for `simulate`. Raises AttnScheduleError (A05xx)."""
    refuse_schedule(ir)
    target, head_dim = find_device(device), check_size("head_dim", head_dim)
    candidates = candidate_tiles(ir, target, q_tile, kv_tile)
    tiles = candidates[0]
    if q_tile is not None or kv_tile is not None:
        candidates = [tiles, *candidate_tiles(ir, target)]
    schedule = schedule_with(ir, tiles.q_tile, tiles.kv_tile, tiles.q_step, tiles.kv_step)
    found = report(schedule, target, None, head_dim)
    runs = sum(len(each.begin) for each in schedule.maps) / (
        len(schedule.maps) * max(schedule.q_tiling.tiles, 1)
    )
    return Explanation(
        report=found,
        parameters=ir.parameters,
        head_dim=head_dim,
        costs=tuple(cost(ir, each, head_dim) for each in found.head_figures),
        runs_per_q_tile=runs,
        suggestions=() if found.perfectly_block_sparse else suggestions(ir, candidates),
    )
