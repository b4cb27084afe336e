"""The picture of a layer: attention mass kept against density, for every candidate and head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from attndsl.fitting.candidates import Candidate
from attndsl.fitting.labels import spelled
from attndsl.show import palette
from attndsl.show.page import text
from attndsl.show.panel import Box, add_axes

if TYPE_CHECKING:
    from attndsl.fitting.layer_fit import LayerFit
    from attndsl.fitting.result import Fit

COLOURS = (palette.FULL, palette.PARTIAL, "#009E73", "#56B4E9", "#CC79A7", "#8C6D1F", palette.FAINT)
"""Of the patterns, in the order in which they are given: Okabe and Ito's, as in all pictures."""
WIDTH, HEIGHT = 5.2, 3.4
LEFT, RIGHT, TOP, BOTTOM, LEGEND = 0.62, 0.25, 0.66, 0.5, 1.75
BETWEEN_NAMES, RIGHT_END = 0.09, 0.75
"""Parts of the line: the least between two names, and where its right end begins."""


def draw(fit: Fit, layer: LayerFit) -> Figure:
    """The picture of one layer of a fit.

    Small dots are heads, large ones candidates, the mean over heads; the line joins candidates that no other
    one beats in both. Rings mark what each head takes, the diamond the layer's mean.
    """
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **palette.STYLE}):
        figure = Figure(figsize=(LEFT + WIDTH + LEGEND + RIGHT, TOP + HEIGHT + BOTTOM), facecolor="white")
        axes = add_axes(figure, Box(LEFT, BOTTOM, WIDTH, HEIGHT))
        names = list(dict.fromkeys(each.name for each in fit.candidates))
        colours = [COLOURS[names.index(each.name) % len(COLOURS)] for each in fit.candidates]
        _draw_points(axes, layer, colours)
        _draw_front(axes, layer, fit.candidates)
        if layer.chosen:
            _draw_choice(axes, layer, layer.chosen.candidates)
        _style(axes, layer)
        _draw_title(figure, fit, layer)
        _draw_legend(axes, names, layer)
    return figure


def _draw_points(axes: Axes, layer: LayerFit, colours: Sequence[str]) -> None:
    heads: dict[str, Any] = {"s": 5, "alpha": 0.45, "linewidths": 0, "zorder": 2}
    for place, colour in enumerate(colours):
        axes.scatter(layer.density[:, place], layer.kept[:, place], color=colour, **heads)
    density, kept = means(layer)
    axes.scatter(density, kept, c=list(colours), s=26, linewidths=0.5, edgecolors="white", zorder=4)


def _draw_front(axes: Axes, layer: LayerFit, candidates: Sequence[Candidate]) -> None:
    """The line, and names below it; above it at its right end, where there is no room below."""
    density, kept = means(layer)
    best = front(density, kept)
    axes.plot(density[best], kept[best], color=palette.LINE, linewidth=1.0, zorder=3)
    along = np.log(np.maximum(density[best], 1e-9))
    length, last = float(along[-1] - along[0]) or 1.0, -1.0
    for number, place in zip(best, (along - along[0]) / length, strict=True):
        if place - last >= BETWEEN_NAMES:
            last = place
            below = place < RIGHT_END
            axes.annotate(
                varied(candidates, number),
                (density[number], kept[number]),
                xytext=(4, -7) if below else (-4, 3),
                ha="left" if below else "right",
                textcoords="offset points",
                fontsize=5.5,
                color=palette.FAINT,
            )


def _draw_choice(axes: Axes, layer: LayerFit, taken: Sequence[int]) -> None:
    heads = np.arange(layer.heads)
    density, kept = layer.density[heads, list(taken)], layer.kept[heads, list(taken)]
    ring: dict[str, Any] = {"facecolors": "none", "edgecolors": palette.QUERY, "linewidths": 0.9}
    mean: dict[str, Any] = {"marker": "D", "color": palette.QUERY, "edgecolors": "white"}
    axes.scatter(density, kept, s=22, zorder=5, **ring)
    axes.scatter(density.mean(), kept.mean(), s=44, zorder=6, **mean)


def _style(axes: Axes, layer: LayerFit) -> None:
    axes.axvline(layer.own_density, color=palette.LINE, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)
    axes.set_xscale("log")
    percent = FuncFormatter(lambda value, _: f"{100 * value:.3g} %")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(percent)
    low = float(layer.kept.min())
    axes.set_ylim(max(0.0, low - 0.08 * (1 - low) - 0.01), 1 + 0.04 * (1 - low) + 0.004)
    axes.set_xlabel("density: visible pairs / all pairs")
    axes.set_ylabel("attention mass kept")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_title(figure: Figure, fit: Fit, layer: LayerFit) -> None:
    top = TOP + HEIGHT + BOTTOM
    text(
        figure, LEFT, top - 0.28, f"{fit.samples.name}, layer {layer.number}", fontsize=12, fontweight="bold"
    )
    facts = [f"{layer.tokens:,} tokens", f"{layer.heads} heads", f"{len(fit.candidates)} candidates"]
    if layer.chosen:
        chosen = layer.chosen
        facts.append(f"chosen: {chosen.kept.mean():.1%} kept at density {chosen.report.density:.1%}")
    text(figure, LEFT, top - 0.49, "   ·   ".join(facts), fontsize=8, color=palette.FAINT)


def _draw_legend(axes: Axes, names: Sequence[str], layer: LayerFit) -> None:
    def mark(label: str, **style: Any) -> Line2D:
        return Line2D([], [], linestyle="", label=label, **style)

    entries = [
        mark(name, marker="o", markersize=5, color=COLOURS[place % len(COLOURS)], markeredgewidth=0)
        for place, name in enumerate(names)
    ]
    entries.append(mark("one head", marker="o", markersize=2.2, color=palette.FAINT, markeredgewidth=0))
    entries.append(Line2D([], [], color=palette.LINE, linewidth=1.0, label="no candidate is better"))
    own = "causal attention" if layer.causal else "full attention"
    entries.append(Line2D([], [], color=palette.LINE, linewidth=0.8, linestyle=(0, (3, 2)), label=own))
    if layer.chosen:
        ring = {"markerfacecolor": "none", "markeredgecolor": palette.QUERY}
        entries.append(mark("chosen, one head", marker="o", markersize=4.5, **ring))
        entries.append(mark("chosen, mean", marker="D", markersize=5, color=palette.QUERY, markeredgewidth=0))
    axes.legend(handles=entries, loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False, fontsize=7.5)


def means(layer: LayerFit) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Density and mass kept of each candidate, mean over heads."""
    return layer.density.mean(axis=0), layer.kept.mean(axis=0)


def front(density: NDArray[np.float64], kept: NDArray[np.float64]) -> list[int]:
    """The points of which no other one is both sparser and keeps as much, from sparse to dense."""
    best: list[int] = []
    for place in np.lexsort((-kept, density)).tolist():
        if not best or kept[place] > kept[best[-1]]:
            best.append(place)
    return best


def varied(candidates: Sequence[Candidate], place: int) -> str:
    """The values of a candidate that other candidates of its pattern do not share."""
    own = candidates[place]
    others = [each.values for each in candidates if each.name == own.name]
    return " ".join(_values(own, others)) or own.name


def _values(own: Candidate, others: Sequence[object]) -> Iterator[str]:
    for name, value in own.values.items():
        if any(isinstance(each, dict) and each.get(name) != value for each in others):
            yield f"{name}={spelled(value)}"
