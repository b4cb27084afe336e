"""The choice under a budget: a multiple-choice knapsack over all layers and heads, solved exactly.

Each layer takes one family of candidates, each head of it one candidate of that family, so that the mean
attention mass kept is as large as possible and the mean density within the budget. The formulation follows
MoA (T. Fu et al., 2024, arXiv:2406.14909), which assigns rules to heads by mixed-integer programming; the
solver is HiGHS, by way of scipy.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.diagnostics import AttnBackendError, AttnScheduleError, AttnWarning
from attndsl.fitting.sample_file import INSTALL

Numbers = NDArray[np.float64]

SECONDS = 120.0
GAP = 1e-6
"""How far from the best possible sum of kept mass the solver may stop, relative to it."""
ROUNDING = 1e-9
OUT_OF_TIME = 1
"""The status that scipy gives to a solver that stopped at its time limit."""


@dataclass(frozen=True)
class Family:
    """Candidates of which each head of a layer may take another one.

    kept, density: float64 [heads, candidates]. heads of a family of one candidate have no choice.
    """

    kept: Numbers
    density: Numbers


@dataclass(frozen=True)
class Choice:
    """What a layer takes: the number of a family, and for each head a candidate of it."""

    family: int
    candidates: NDArray[np.int64]


def assign(layers: Sequence[Sequence[Family]], weights: Sequence[float], budget: float) -> list[Choice]:
    """The families and candidates that keep most; weights: of each layer's heads in the mean density.

    Raises AttnScheduleError A0520 for a budget below what the cheapest candidates take, A0521 for one that is
    no density, A0528 where the solver finds nothing in two minutes, AttnBackendError A0730 without scipy.
    """
    check_budget(budget)
    solver = _require_scipy()
    scale = 1 / sum(weight * len(layer[0].kept) for layer, weight in zip(layers, weights, strict=True))
    scaled = [weight * scale for weight in weights]
    least = _least_density(layers, scaled)
    if least > budget + ROUNDING:
        raise AttnScheduleError(
            "A0520",
            f"no choice has a density of {budget:.4g} or less: the cheapest has {least:.4g}",
            help="raise the budget, or add sparser candidates",
        )
    problem = _Problem()
    for layer, weight in zip(layers, scaled, strict=True):
        problem.add(layer, weight)
    limit = budget
    for _ in range(8):
        choices = problem.choices(layers, problem.solve(solver, limit))
        excess = mean_density(layers, scaled, choices) - budget
        if excess <= ROUNDING:
            return choices
        limit = max(limit - 2 * excess, least)  # the solver's tolerance let the sum exceed the budget
    raise _unsolved("its rounding exceeds the budget")


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


@dataclass
class _Problem:
    """Binary variables in the order they are added, and the rows of equations over them.

    A family of one candidate is one variable. Otherwise it is one variable, and one more for each head and
    candidate, of which each head's sum to the family's.
    """

    gain: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    entries: list[tuple[int, int, float]] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    starts: list[list[int]] = field(default_factory=list)
    """Of each layer, the variable of each family."""

    def add(self, layer: Sequence[Family], weight: float) -> None:
        """A layer; weight: of each of its heads in the mean density."""
        self.starts.append([self._family(family, weight) for family in layer])
        self._equation([(start, 1.0) for start in self.starts[-1]], 1.0)

    def _family(self, family: Family, weight: float) -> int:
        heads, count = family.kept.shape
        if count == 1:
            return self._variables([float(family.kept.sum())], [weight * float(family.density.sum())])
        start = self._variables([0.0], [0.0])
        for head in range(heads):
            first = self._variables(family.kept[head].tolist(), (weight * family.density[head]).tolist())
            self._equation([*((first + each, 1.0) for each in range(count)), (start, -1.0)], 0.0)
        return start

    def _variables(self, gain: list[float], cost: list[float]) -> int:
        self.gain += gain
        self.cost += cost
        return len(self.gain) - len(gain)

    def _equation(self, terms: Sequence[tuple[int, float]], right: float) -> None:
        self.entries += [(len(self.right), variable, factor) for variable, factor in terms]
        self.right.append(right)

    def solve(self, solver: tuple[Any, Any], limit: float) -> NDArray[np.bool_]:
        """The values of the variables that gain most at a cost up to `limit`."""
        optimize, sparse = solver
        rows, columns, factors = zip(*self.entries, strict=True)
        shape = (len(self.right), len(self.gain))
        equations = sparse.csr_array((factors, (rows, columns)), shape=shape)
        unit = 1 / max(max(self.cost), 1e-300)  # costs near 1 are far above the solver's tolerances
        found = optimize.milp(
            -np.array(self.gain),
            integrality=1,
            bounds=optimize.Bounds(0, 1),
            constraints=[
                optimize.LinearConstraint(equations, self.right, self.right),
                optimize.LinearConstraint(unit * np.array([self.cost]), -np.inf, unit * limit),
            ],
            options={"time_limit": SECONDS, "mip_rel_gap": GAP},
        )
        if found.x is None:
            raise _unsolved(found.message.strip().splitlines()[0])
        if found.status == OUT_OF_TIME:
            warnings.warn(
                f"the choice may not be the best: after {SECONDS:.0f} seconds one that keeps up to "
                f"{found.mip_gap:.2%} more was not ruled out; give fewer candidates",
                AttnWarning,
                stacklevel=2,
            )
        taken: NDArray[np.bool_] = found.x > 0.5
        return taken

    def choices(self, layers: Sequence[Sequence[Family]], taken: NDArray[np.bool_]) -> list[Choice]:
        """The choice of each layer that the variables stand for."""
        found = []
        for layer, starts in zip(layers, self.starts, strict=True):
            number = next(place for place, start in enumerate(starts) if taken[start])
            heads, count = layer[number].kept.shape
            first = starts[number] + 1
            own = taken[first : first + heads * count].reshape(heads, count) if count > 1 else None
            candidates = np.zeros(heads, dtype=np.int64) if own is None else own.argmax(axis=1)
            found.append(Choice(number, candidates))
        return found


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


def _unsolved(reason: str) -> AttnScheduleError:
    return AttnScheduleError(
        "A0528", f"the solver found no choice: {reason}", help="give fewer candidates, or a larger budget"
    )


def _require_scipy() -> tuple[Any, Any]:
    try:
        from scipy import optimize, sparse
    except ImportError:
        raise AttnBackendError(
            "A0730", "scipy is not installed, and its solver makes the choice", help=INSTALL
        ) from None
    return optimize, sparse
