"""The result of fit as text for people: a table of candidates, and the choice layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from attndsl.simulate.text import times

if TYPE_CHECKING:
    from attndsl.fitting.layer_fit import LayerFit
    from attndsl.fitting.result import Fit

LONGEST_LABEL = 52


def fit_as_text(fit: Fit) -> str:
    """The means of each candidate over all layers and heads, then what was chosen."""
    lines = [_heading(fit), *_candidates(fit)]
    if fit.budget is not None:
        speedup = _speedup(fit.layers)
        lines.append(
            f"chosen within a density of {fit.budget:.4g}: kept {fit.kept:.2%}, density {fit.density:.2%}, "
            f"tile speedup {times(speedup)} (mean)"
        )
        lines += _choice(fit.layers)
    return "\n".join(lines)


def heads_as_text(layer: LayerFit, labels: Sequence[str]) -> str:
    """The figures of each head of a layer, a line for each candidate; chosen ones are marked."""
    lines = [f"layer {layer.number}, by head"]
    for head in range(layer.heads):
        taken = layer.chosen.candidates[head] if layer.chosen else None
        rows = [
            [
                f"{layer.kept[head, place]:.2%}",
                f"{layer.density[head, place]:.2%}",
                times(layer.tile_speedup[head, place]),
                times(layer.tile_speedup_mean[head, place]),
                _short(label) + (" <" if place == taken else ""),
            ]
            for place, label in enumerate(labels)
        ]
        lines.append(f"  head {head}")
        lines += _aligned([["kept", "density", "worst tile", "mean", "candidate"], *rows])
    return "\n".join(lines)


def _heading(fit: Fit) -> str:
    layers, first = len(fit.layers), fit.layers[0]
    count = f"{layers} layer{'s' * (layers != 1)}, {first.heads} head{'s' * (first.heads != 1)}"
    causal = ", causal" if first.causal else ""
    return f"{fit.samples.name}: {count}, {first.tokens:,} tokens{causal}; mean over layers and heads"


def _candidates(fit: Fit) -> Iterator[str]:
    kept = np.concatenate([layer.kept for layer in fit.layers])
    density = np.concatenate([layer.density for layer in fit.layers])
    worst, mean = (
        _harmonic(np.concatenate([getattr(layer, name) for layer in fit.layers]))
        for name in ("tile_speedup", "tile_speedup_mean")
    )
    rows = [
        [
            f"{kept[:, place].mean():.2%}",
            f"{kept[:, place].min():.2%}",
            f"{density[:, place].mean():.2%}",
            times(worst[place]),
            times(mean[place]),
            _short(each.label),
        ]
        for place, each in enumerate(fit.candidates)
    ]
    yield from _aligned([["kept", "worst head", "density", "worst tile", "mean", "candidate"], *rows])


def _choice(layers: Sequence[LayerFit]) -> Iterator[str]:
    rows = [
        [
            str(layer.number),
            f"{layer.chosen.kept.mean():.2%}",
            f"{layer.chosen.kept.min():.2%}",
            f"{layer.chosen.report.density:.2%}",
            times(layer.chosen.report.tile_speedup),
            times(layer.chosen.report.tile_speedup_mean),
            _short(layer.chosen.label),
        ]
        for layer in layers
        if layer.chosen
    ]
    yield from _aligned([["layer", "kept", "worst head", "density", "worst tile", "mean", "pattern"], *rows])


def _speedup(layers: Sequence[LayerFit]) -> float:
    """The mean tile speedup of all layers together: all pairs of tiles / visited pairs."""
    reports = [layer.chosen.report for layer in layers if layer.chosen]
    visited = sum(each.visited_tiles for each in reports)
    return sum(each.total_tiles for each in reports) / visited if visited else float("inf")


def _harmonic(speedups: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[float]:
    """The speedup of each column when its rows run one after the other."""
    slowness = (1 / speedups).mean(axis=0)
    return [1 / each if each else float("inf") for each in slowness.tolist()]


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 3]}..."


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns of numbers to the right, the last one, of names, to the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        yield "  " + "  ".join([*cells, row[-1]])
