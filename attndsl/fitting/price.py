"""What each candidate costs: density and predicted tile speedup, head by head."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from attndsl.diagnostics import AttnScheduleError
from attndsl.fitting.candidates import Candidate
from attndsl.fitting.samples import Layer
from attndsl.pipeline import Bound, Extents
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


def bind(candidate: Candidate, layer: Layer, shape: Extents | None) -> Bound:
    """The candidate for a layer's tokens and heads; shape: of the main space, default one axis of the tokens.

    Raises AttnBindError (A04xx) for values that do not fit, AttnScheduleError A0522 for other tokens.
    """
    default = layer.tokens - _further_tokens(candidate)
    bound = candidate.bind(default if shape is None else shape, layer.heads, layer.kv_heads)
    tokens, main = bound.ir.query_space.size, bound.ir.query_space.segments[0]
    if tokens != layer.tokens:
        raise AttnScheduleError(
            "A0522",
            f"`{candidate.label}` of shape {','.join(map(str, main.extents))} has {tokens:,} tokens, "
            f"layer {layer.number} has {layer.tokens:,}",
            help="give the shape that the samples were captured with, and the tokens of further segments",
        )
    return bound


def _further_tokens(candidate: Candidate) -> int:
    """Tokens of the segments after the main one, which the values name: text=256."""
    extents = [candidate.values.get(each.name, 0) for each in candidate.pattern.ir.query_space[1:]]
    return sum(prod(each) if isinstance(each, tuple) else each for each in extents)
