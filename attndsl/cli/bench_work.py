"""How much a measured call computes: the pairs that are visible, and the operations of its algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attndsl.passes.branch_spaces import refuse_channels

if TYPE_CHECKING:
    from attndsl.cli.problem import Problem

Plans = Mapping[str, Any]
"""Plans by the name of the branch; '' is a pattern without branches."""


@dataclass(frozen=True)
class Work:
    """pairs: visible ones, of all heads. flops: of the forward pass, selection left out."""

    pairs: float
    flops: float


def work_of(problem: Problem, head_dim: int, plans: Plans) -> Work:
    """The work of a pattern, the sum over its branches where it has any."""
    bound = problem.bound
    if bound.branches:
        parts = [work_of(problem.of_branch(name), head_dim, {"": plans.get(name)}) for name in bound.branches]
        return Work(sum(each.pairs for each in parts), sum(each.flops for each in parts))
    ir = bound.ir
    refuse_channels(ir)
    pairs = ir.heads * ir.query_space.size * ir.key_space.size * _density(problem, _own(plans))
    if bound.algorithm in ("recurrence", "sums"):
        work = bound.simulate(head_dim=head_dim).linear_work
        if work is not None:
            return Work(pairs, work.flops)
    return Work(pairs, 4.0 * pairs * head_dim)


def _own(plans: Plans) -> Any:
    """The plan of a route, the plans of groups, or None."""
    return plans.get("", plans or None)


def mask_inputs(problem: Problem) -> dict[str, Any]:
    """The data that masks read, those of all branches. Raises AttnCallError (A06xx)."""
    names: list[str | None] = list(problem.bound.branches) or [None]
    return {name: array for each in names for name, array in problem.of_branch(each).checked_inputs().items()}


def _density(problem: Problem, plan: Any) -> float:
    """Visible pairs / all pairs."""
    if plan is not None:
        return float(problem.bound.simulate(plan=plan).density)
    inputs, schedule = problem.checked_inputs(), problem.bound.schedule()
    return (schedule.refine(inputs) if inputs else schedule).density
