"""`simulate` and `explain` of patterns with branches: each branch by itself, and the sum of their work.

A branch takes the time of its own visited tiles; branches run one after the other. What combines their
outputs is a few operations per query and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from attndsl.ir.bound import BoundIR
from attndsl.ir.plan_checks import plans_by_name
from attndsl.passes.branch_spaces import refuse_channels
from attndsl.schedule.tile_arguments import Extents
from attndsl.simulate.branch_times import BranchTimes, branch_times
from attndsl.simulate.devices import Device
from attndsl.simulate.devices import device as find_device
from attndsl.simulate.explain import Explanation, explain
from attndsl.simulate.plan_draws import DEFAULT, Distribution
from attndsl.simulate.report import Report, simulate
from attndsl.simulate.routing_text import times_lines
from attndsl.simulate.speedup import check_share, ratio
from attndsl.simulate.text import report_as_dict, times


@dataclass(frozen=True, repr=False)
class BranchesReport(Report):
    """The prediction for a pattern of branches, over dense attention of its queries to its keys.

    branches: the report of each branch, by name. density: visible pairs of all branches / all pairs of the
    pattern, above 1 where branches count pairs twice. tile_speedup: the time of dense attention / the time of
    all branches, each by its worst q tile; tile_speedup_mean by all its tiles. Linear weights take the part
    of the time of their tiles that is predicted. Counts are sums over the branches, which have tiles of
    their own. together: selection and attention of all branches, where some route.
    """

    branches: Mapping[str, Report] = field(default_factory=dict)
    together: BranchTimes | None = None

    @property
    def algorithm(self) -> str:
        """What computes the branches, as 'recurrence + tiles'."""
        return " + ".join(each.algorithm for each in self.branches.values())

    def to_dict(self) -> dict[str, Any]:
        """Numbers, texts and lists only, for JSON; infinite speedups are None."""
        whole = report_as_dict(replace(self, branches={}, together=None)) | {"algorithm": self.algorithm}
        whole["together"] = self.together.to_dict() if self.together else None
        return whole | {"branches": {name: each.to_dict() for name, each in self.branches.items()}}

    def __str__(self) -> str:
        count = f"{len(self.branches)} branch{'es' * (len(self.branches) != 1)}"
        mean = times(self.tile_speedup_mean)
        partial = f"{self.full_tiles:,} full, {self.partial_tiles:,} partial"
        lines = [
            f"{self.name} on {self.device.name}: {self.tokens:,} tokens, {self.heads} heads, {count}",
            f"  algorithm         {self.algorithm}",
            f"  density           {self.density:.2%}, FLOP speedup {times(self.flop_speedup)}",
            f"  tile speedup      {times(self.tile_speedup)} (the worst q tiles), mean {mean}",
            f"  visited tiles     {self.visited_tiles:,} of {self.total_tiles:,}: {partial}",
        ]
        if self.attention_share is not None:
            share = f"of a model with {self.attention_share:.1%} attention"
            flop = times(self.flop_end_to_end_speedup)
            lines.append(f"  end to end        {times(self.end_to_end_speedup)} {share}; by FLOPs {flop}")
        if self.together is not None:
            lines += times_lines(self.together)
        for name, each in self.branches.items():
            lines += [f"branch {name}", *(f"  {line}" for line in str(each).splitlines())]
        return "\n".join(lines)

    __repr__ = __str__


def summed(
    ir: BoundIR, target: Device, share: float | None, branches: Mapping[str, Report]
) -> BranchesReport:
    """The report of the pattern from those of its branches."""
    reports = list(branches.values())
    pairs = ir.query_space.size * ir.key_space.size
    parts = [ratio(each.tokens * each.key_tokens, pairs) for each in reports]
    density = sum(each.density * part for each, part in zip(reports, parts, strict=True))
    times_of_tiles = [part * each.part_of_tiles for each, part in zip(reports, parts, strict=True)]
    pairs_of = list(zip(reports, times_of_tiles, strict=True))
    worst = ratio(1.0, sum(part / each.tile_speedup for each, part in pairs_of))
    mean = ratio(1.0, sum(part / each.tile_speedup_mean for each, part in pairs_of))
    counts = {name: sum(getattr(each, name) for each in reports) for name in COUNTS}
    return BranchesReport(
        name=ir.name,
        device=target,
        tokens=ir.query_space.size,
        key_tokens=ir.key_space.size,
        heads=ir.heads,
        density=density,
        q_tile=(),
        kv_tile=(),
        q_step=(),
        kv_step=(),
        tile_speedup=worst,
        tile_speedup_mean=mean,
        **counts,
        contiguous=all(each.contiguous for each in reports),
        data_dependent=any(each.data_dependent for each in reports),
        attention_share=share,
        partial_because=tuple(blame for each in reports for blame in each.partial_because),
        head_figures=(),
        notes=tuple(f"branch `{name}`: {note}" for name, each in branches.items() for note in each.notes),
        branches=branches,
    )


COUNTS = (
    "dense_kv_tiles", "worst_q_tile_visits", "visited_tiles", "total_tiles", "full_tiles",
)  # fmt: skip


def simulate_branches(
    ir: BoundIR,
    *,
    device: str = "b200",
    q_tile: Extents | None = None,
    kv_tile: Extents | None = None,
    attention_share: float | None = None,
    head_dim: int = 128,
    batch: int = 1,
    plan: Any = None,
    distribution: Distribution = DEFAULT,
) -> BranchesReport:
    """Predict the work of a pattern of branches. Tiles are for the branches that attend in its own spaces.

    plan: of its routes, by branch; those that are left out are drawn. Raises AttnScheduleError (A05xx), and
    AttnCallError A0690 to A0696 for plans that do not fit.
    """
    target, share = find_device(device), check_share(attention_share)
    plans = plans_by_name(ir, plan) if plan is not None else {}
    reports: dict[str, Report] = {}
    for branch in ir.branches:
        refuse_channels(branch)
        q_own, kv_own = _tiles_of(branch, ir, q_tile, kv_tile)
        reports[branch.branch] = simulate(
            branch, device=device, q_tile=q_own, kv_tile=kv_own, head_dim=head_dim, batch=batch,
            plan=plans.get(branch.branch), distribution=distribution,
        )  # fmt: skip
    together = branch_times(ir, target, reports, head_dim, batch)
    return replace(summed(ir, target, share, reports), together=together)


def _tiles_of(
    branch: BoundIR, ir: BoundIR, q_tile: Extents | None, kv_tile: Extents | None
) -> tuple[Extents | None, Extents | None]:
    own = branch.query_space == ir.query_space, branch.key_space == ir.key_space
    return q_tile if own[0] else None, kv_tile if own[1] else None


@dataclass(frozen=True, repr=False)
class BranchesExplanation:
    """What `explain` found out about each branch, by name."""

    name: str
    branches: Mapping[str, Explanation]

    @property
    def flops(self) -> float:
        """Of all branches and heads, forward, for one batch entry."""
        return sum(each.flops for each in self.branches.values())

    def to_dict(self) -> dict[str, Any]:
        """Numbers, texts and lists only, for JSON."""
        branches = {name: each.to_dict() for name, each in self.branches.items()}
        return {"name": self.name, "flops": self.flops, "branches": branches}

    def __str__(self) -> str:
        algorithm = " + ".join(each.report.algorithm for each in self.branches.values())
        parts = [f"{self.name}: {algorithm}, {self.flops:.3g} FLOPs forward in all branches"]
        parts += [f"branch {name}\n{each}" for name, each in self.branches.items()]
        return "\n\n".join(parts)

    __repr__ = __str__


def explain_branches(
    ir: BoundIR,
    *,
    device: str = "b200",
    q_tile: Extents | None = None,
    kv_tile: Extents | None = None,
    head_dim: int = 128,
) -> BranchesExplanation:
    """Explain the cost of every branch. Raises AttnScheduleError (A05xx)."""
    found: dict[str, Explanation] = {}
    for branch in ir.branches:
        refuse_channels(branch)
        q_own, kv_own = _tiles_of(branch, ir, q_tile, kv_tile)
        found[branch.branch] = explain(branch, device=device, q_tile=q_own, kv_tile=kv_own, head_dim=head_dim)
    return BranchesExplanation(ir.name, found)
