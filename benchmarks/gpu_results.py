"""What the GPU benchmark found, as plain data: printed as tables, and written and read as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.gpu_cases import FLEX_FORWARD, FLEX_TRAINING, SDPA_SHARE, TILE_SHARE, Kind

Pass = Literal["forward", "training"]
"""A forward pass alone, or forward and backward pass together."""

OURS, PLANNED, OWN_DENSE, FLEX, SDPA = "attndsl", "attndsl-planned", "attndsl-dense", "flex", "sdpa"
"""Names of contenders: attndsl on the pattern, on a plan of its route, and on all pairs, and what rivals'
names begin with."""

OPERATIONS: dict[Pass, float] = {"forward": 4.0, "training": 14.0}
"""Operations per visible pair and channel: 2 products of matrices, and 5 more in the backward pass."""


@dataclass(frozen=True)
class PassResult:
    """One pass of one case.

    milliseconds: median per contender. speedups: how often attndsl's time fits into a contender's, the median
    over rounds. failures: why a contender has no time: an error, too little memory, a wrong result.
    """

    milliseconds: dict[str, float] = field(default_factory=dict)
    speedups: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def best(self, rival: str) -> str | None:
        """The fastest contender whose name begins so; None if none has a time."""
        names = [name for name in self.milliseconds if name.startswith(rival)]
        return min(names, key=self.milliseconds.__getitem__, default=None)

    def speedup(self, rival: str) -> float | None:
        """How many times faster attndsl is than the best of the contenders whose names begin so."""
        best = self.best(rival)
        return None if best is None else self.speedups.get(best)


@dataclass(frozen=True)
class Target:
    """What is meant to be reached, and what was."""

    what: str
    wanted: float
    found: float

    @property
    def reached(self) -> bool:
        """Whether it is."""
        return self.found >= self.wanted

    def __str__(self) -> str:
        return f"{self.what} {self.found:.2f} of {self.wanted:g}, {'reached' if self.reached else 'missed'}"


@dataclass(frozen=True)
class GpuResult:
    """One case.

    density: visible pairs / all pairs. tile_speedup: all pairs of tiles / visited ones, as the simulator
    counts them for the tiles of attndsl's forward kernel. largest_error: of sampled rows, from float64.
    """

    name: str
    kind: Kind
    pattern: str
    numbers: dict[str, Any]
    batch: int
    heads: int
    head_dim: int
    tokens: int
    dtype: str
    density: float
    tile_speedup: float
    q_tile: tuple[int, ...]
    kv_tile: tuple[int, ...]
    largest_error: float | None
    passes: dict[Pass, PassResult]

    def teraflops(self, kind: Pass, contender: str, density: float | None = None) -> float:
        """The rate at which visible pairs pass, in 10**12 operations per second."""
        pairs = self.batch * self.heads * self.tokens**2 * (self.density if density is None else density)
        return OPERATIONS[kind] * self.head_dim * pairs / self.passes[kind].milliseconds[contender] / 1e9

    def tile_share(self, kind: Pass) -> float | None:
        """The speedup over attndsl's own dense attention, as a share of the tile speedup."""
        speedup = self.passes[kind].speedup(OWN_DENSE)
        return None if speedup is None else speedup / self.tile_speedup

    def targets(self) -> list[Target]:
        """The targets that this case has and whose measurements are there."""
        forward, training = self.passes["forward"], self.passes["training"]
        found = [
            ("share of the best SDPA", SDPA_SHARE, forward.speedup(SDPA)),
            ("times FlexAttention, forward", FLEX_FORWARD, forward.speedup(FLEX)),
            ("times FlexAttention, forward and backward", FLEX_TRAINING, training.speedup(FLEX)),
            ("share of the tile speedup", TILE_SHARE, self.tile_share("forward")),
        ]
        return [
            Target(what, wanted[self.kind], value)
            for what, wanted, value in found
            if self.kind in wanted and value is not None
        ]


@dataclass
class GpuReport:
    """A run, which may have been cut off, and where it ran."""

    environment: dict[str, str]
    cases: list[GpuResult] = field(default_factory=list)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GpuReport:
        """The report that `dataclasses.asdict` turned into `data`."""
        return cls(dict(data["environment"]), [_case(each) for each in data["cases"]])


def _case(data: Mapping[str, Any]) -> GpuResult:
    passes: dict[Pass, PassResult] = {name: PassResult(**each) for name, each in data["passes"].items()}
    tiles = {name: tuple(data[name]) for name in ("q_tile", "kv_tile")}
    return GpuResult(**{**data, **tiles, "passes": passes})
