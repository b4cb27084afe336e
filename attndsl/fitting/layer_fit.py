"""What fit found for one layer: figures of every candidate and head, and the choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.fitting.labels import label
from attndsl.pipeline import Bound
from attndsl.simulate.report import Report
from attndsl.simulate.text import plain

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Chosen:
    """The choice of a layer.

    candidates: of each head, a position in `Fit.candidates`. values: what binds the pattern. kept: mass that
    each head keeps. report: the prediction for the layer as a whole, all heads with the same tiles.
    """

    name: str
    candidates: tuple[int, ...]
    values: dict[str, Any]
    kept: Numbers
    bound: Bound
    report: Report

    @property
    def label(self) -> str:
        """The pattern with its values; many values per head as their range."""
        return label(self.name, self.values)

    def to_dict(self) -> dict[str, Any]:
        """Numbers, texts and lists only."""
        return {
            "pattern": self.name,
            "parameters": self.values,
            "candidates": list(self.candidates),
            "kept": self.kept.tolist(),
            "density": self.report.density,
            "tile_speedup": self.report.tile_speedup,
            "tile_speedup_mean": self.report.tile_speedup_mean,
        }


@dataclass(frozen=True)
class LayerFit:
    """The figures of a layer, float64 [heads, candidates].

    kept: attention mass, mean over sampled queries, 0 to 1. density: visible pairs / all pairs. tile_speedup,
    tile_speedup_mean: predicted, over dense attention, see `attndsl.simulate.Report`. causal: whether the
    model's own attention is.
    """

    number: int
    tokens: int
    causal: bool
    kept: Numbers
    density: Numbers
    tile_speedup: Numbers
    tile_speedup_mean: Numbers
    chosen: Chosen | None = None

    @property
    def heads(self) -> int:
        """Query heads."""
        return len(self.kept)

    @property
    def own_density(self) -> float:
        """The density of the model's own attention: 1, or a little over a half where it is causal."""
        return (self.tokens + 1) / (2 * self.tokens) if self.causal else 1.0

    @property
    def weight(self) -> float:
        """What one head counts in a mean density: its pairs of tokens."""
        return float(self.tokens) ** 2

    def to_dict(self) -> dict[str, Any]:
        """All figures as JSON has them; infinite speedups are None."""
        figures = ("kept", "density", "tile_speedup", "tile_speedup_mean")
        data: dict[str, Any] = {
            "layer": self.number,
            "tokens": self.tokens,
            "heads": self.heads,
            "causal": self.causal,
            "own_density": self.own_density,
            **{name: getattr(self, name).tolist() for name in figures},
            "chosen": None if self.chosen is None else self.chosen.to_dict(),
        }
        result: dict[str, Any] = plain(data)
        return result
