"""What the CPU benchmark found, as plain data: printed as tables, and written and read as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from benchmarks.cases import HEAD_DIM, HEADS, Case

OURS, DENSE = "attndsl", "dense"
PASSES = 3.5
"""Operations of a forward and backward pass, in those of the forward pass: 7 products of matrices for 2."""


@dataclass(frozen=True)
class Problem:
    """Which case a result is of. target: how many times faster than its rival attndsl is meant to be."""

    name: str
    pattern: str
    shape: tuple[int, ...]
    parameters: dict[str, Any]
    dtype: str
    target: float

    @property
    def tokens(self) -> int:
        """Queries, and keys, per head."""
        return prod(self.shape)


@dataclass(frozen=True)
class CaseResult(Problem):
    """One case. milliseconds: median per contender. speedups: how often attndsl's time fits into a rival's.

    visible_pairs: pairs of one head that the pattern lets through. computed_pairs: pairs of one head
    in the tiles that a contender visits. product_gflops: rate of a large matrix product in the same
    rounds, the ceiling of the machine.
    """

    rival: str
    milliseconds: dict[str, float]
    speedups: dict[str, float]
    visible_pairs: int
    computed_pairs: dict[str, int]
    product_gflops: float

    @property
    def density(self) -> float:
        """Visible pairs / all pairs."""
        return self.visible_pairs / self.tokens**2

    @property
    def flex(self) -> str:
        """The faster of FlexAttention's block sizes."""
        return min(
            (name for name in self.milliseconds if name.startswith("flex")), key=self.milliseconds.__getitem__
        )

    @property
    def ratio(self) -> float:
        """How many times faster attndsl is than the rival that the target names."""
        return self.speedups[self.flex if self.rival == "flex" else self.rival]

    def gflops(self, contender: str, pairs: int) -> float:
        """Rate at which these pairs of each head pass: two products of two operations per number."""
        operations = 4 * HEAD_DIM * HEADS * pairs
        return operations / self.milliseconds[contender] / 1e6


@dataclass(frozen=True)
class TrainingResult(Problem):
    """Forward and backward pass of one case. milliseconds: median per contender.

    speedup: over dense attention. visible_pairs, computed_pairs: pairs of one head that the pattern lets
    through, and those in visited tiles. product_gflops: as in `CaseResult`.
    """

    milliseconds: dict[str, float]
    speedup: float
    visible_pairs: int
    computed_pairs: int
    product_gflops: float

    def gflops(self, pairs: int) -> float:
        """Rate at which these pairs of each head pass forward and backward."""
        return PASSES * 4 * HEAD_DIM * HEADS * pairs / self.milliseconds[OURS] / 1e6


def describe(case: Case) -> dict[str, Any]:
    """The fields of a result that say which case it is."""
    names = ("name", "pattern", "shape", "parameters", "dtype", "target")
    return {name: getattr(case, name) for name in names}


@dataclass(frozen=True)
class DensityPoint:
    """attndsl on a 1-D window of `radius` against attndsl on full attention: `speedup` times faster."""

    radius: int
    tile_density: float
    milliseconds: float
    speedup: float


@dataclass(frozen=True)
class Overheads:
    """What a kernel costs besides its work.

    compile_seconds: first compilation. The milliseconds are those of a new process: bind: reading the
    pattern and binding it; schedule: choosing tiles and making the block map; load: the same call as the
    compilation, kernel in the cache. call_microseconds: one call on 16 tokens.
    """

    compile_seconds: float
    load_milliseconds: float
    bind_milliseconds: float
    schedule_milliseconds: float
    call_microseconds: float


@dataclass(frozen=True)
class Report:
    """A whole run and where it ran."""

    environment: dict[str, str]
    cases: list[CaseResult]
    training: list[TrainingResult]
    densities: list[DensityPoint]
    overheads: Overheads

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Report:
        """The report that `dataclasses.asdict` turned into `data`."""
        return cls(
            environment=data["environment"],
            cases=[CaseResult(**{**case, "shape": tuple(case["shape"])}) for case in data["cases"]],
            training=[TrainingResult(**{**case, "shape": tuple(case["shape"])}) for case in data["training"]],
            densities=[DensityPoint(**point) for point in data["densities"]],
            overheads=Overheads(**data["overheads"]),
        )
