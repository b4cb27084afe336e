"""The choice under a budget: a multiple-choice knapsack over all layers and heads.

Each layer takes one family of candidates, each head of it one candidate of that family, so that the mean
attention mass kept is as large as possible and the mean density within the budget. The formulation follows
MoA (T. Fu et al., 2024, arXiv:2406.14909), which assigns rules to heads by mixed-integer programming; the
solver is HiGHS, by way of scipy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attndsl.diagnostics import AttnScheduleError
from attndsl.fitting.program import Choice, Family, Numbers, Program, require_scipy, unsolved

ROUNDING = 1e-9


def assign(layers: Sequence[Sequence[Family]], weights: Sequence[float], budget: float) -> list[Choice]:
    """The families and candidates that keep most; weights: of each layer's heads in the mean density.

    Raises AttnScheduleError A0520 for a budget below what the cheapest candidates take, A0521 for one that is
    no density, A0528 where the solver finds nothing in two minutes, AttnBackendError A0730 without scipy.
    """
    check_budget(budget)
    solver = require_scipy()
    scale = 1 / sum(weight * len(layer[0].kept) for layer, weight in zip(layers, weights, strict=True))
    scaled = [weight * scale for weight in weights]
    least = _least_density(layers, scaled)
    if least > budget + ROUNDING:
        raise AttnScheduleError(
            "A0520",
            f"no choice has a density of {budget:.4g} or less: the cheapest has {least:.4g}",
            help="raise the budget, or add sparser candidates",
        )
    program = Program()
    for layer, weight in zip(layers, scaled, strict=True):
        program.add(layer, weight)
    limit = budget
    for _ in range(8):
        choices = program.choices(layers, program.solve(solver, limit))
        excess = mean_density(layers, scaled, choices) - budget
        if excess <= ROUNDING:
            return choices
        limit = max(limit - 2 * excess, least)  # the solver's tolerance let the sum exceed the budget
    raise unsolved("its rounding exceeds the budget")


def mean_density(
    layers: Sequence[Sequence[Family]], weights: Sequence[float], choices: Sequence[Choice]
) -> float:
    """The density of a choice; weights: of each head, summing to 1 over all heads."""
    return sum(
        weight * float(_taken(layer[choice.family].density, choice).sum())
        for layer, weight, choice in zip(layers, weights, choices, strict=True)
    )


def _taken(figures: Numbers, choice: Choice) -> Numbers:
    taken: Numbers = figures[np.arange(len(figures)), choice.candidates]
    return taken


def check_budget(budget: object) -> float:
    """The budget. Raises AttnScheduleError A0521 unless it lies above 0 and is at most 1."""
    if isinstance(budget, int | float) and not isinstance(budget, bool) and 0 < budget <= 1:
        return float(budget)
    raise AttnScheduleError(
        "A0521", f"the budget is {budget!r}", help="give a density above 0 and up to 1, such as 0.25"
    )


def _least_density(layers: Sequence[Sequence[Family]], weights: Sequence[float]) -> float:
    """The density of the cheapest choice."""
    return sum(
        weight * min(float(family.density.min(axis=1).sum()) for family in layer)
        for layer, weight in zip(layers, weights, strict=True)
    )
