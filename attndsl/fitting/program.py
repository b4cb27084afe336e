"""The choice of candidates as a mixed-integer program, and its solver, HiGHS by way of scipy."""

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


@dataclass
class Program:
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
            raise unsolved(found.message.strip().splitlines()[0])
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


def unsolved(reason: str) -> AttnScheduleError:
    """The solver found no choice."""
    return AttnScheduleError(
        "A0528", f"the solver found no choice: {reason}", help="give fewer candidates, or a larger budget"
    )


def require_scipy() -> tuple[Any, Any]:
    """The packages `scipy.optimize` and `scipy.sparse`. Raises AttnBackendError A0730 without them."""
    try:
        from scipy import optimize, sparse
    except ImportError:
        raise AttnBackendError(
            "A0730", "scipy is not installed, and its solver makes the choice", help=INSTALL
        ) from None
    return optimize, sparse
