"""What each candidate costs: density and predicted tile speedup, head by head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attndsl.diagnostics import AttnScheduleError
from attndsl.fitting.candidates import Candidate
from attndsl.fitting.samples import Layer
from attndsl.pipeline import Bound
from attndsl.simulate.report import Report

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Price:
    """Figures of each head, all float64 [heads]; see `attndsl.simulate.Report` for what they mean."""

    density: Numbers
    tile_speedup: Numbers
    tile_speedup_mean: Numbers


def price(report: Report) -> Price:
    """The figures of a prediction, spread over its heads."""
    figures = np.zeros((3, report.heads))
    for each in report.head_figures:
        figures[:, list(each.heads)] = np.array(
            [[each.density], [each.tile_speedup], [each.tile_speedup_mean]]
        )
    return Price(*figures)


def bind(candidate: Candidate, layer: Layer, shape: Sequence[int] | None) -> Bound:
    """The candidate for a layer's tokens and heads; shape: of the main space, default the tokens alone.

    Raises AttnBindError (A04xx) for values that do not fit, AttnScheduleError A0522 for other tokens.
    """
    given = tuple(shape) if shape is not None else (layer.tokens - _further_tokens(candidate),)
    bound = candidate.bind(given, layer.heads, layer.kv_heads)
    tokens = bound.ir.query_space.size
    if tokens != layer.tokens:
        raise AttnScheduleError(
            "A0522",
            f"`{candidate.label}` of shape {','.join(map(str, given))} has {tokens:,} tokens, "
            f"layer {layer.number} has {layer.tokens:,}",
            help="give the shape that the samples were captured with, and the tokens of further segments",
        )
    return bound


def _further_tokens(candidate: Candidate) -> int:
    """Tokens of segments of one axis that the values name, such as text=256."""
    names = [segment.name for segment in candidate.pattern.ir.query_space[1:]]
    return sum(each for name in names if isinstance(each := candidate.values.get(name, 0), int))
