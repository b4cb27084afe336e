"""The whole picture: title, panels side by side, legend with counts, and the figures that matter."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure

from attndsl.ir.bound import Segment
from attndsl.show import palette
from attndsl.show.legend import draw_legend_below, draw_legend_beside
from attndsl.show.neighborhood import Neighborhood, neighborhood
from attndsl.show.neighborhood_panel import NeighborhoodPanel
from attndsl.show.page import text
from attndsl.show.pairs_panel import MaskPanel, SortedPanel
from attndsl.show.panel import Box, Panel
from attndsl.show.score import positional_score
from attndsl.show.score_panel import ScorePanel
from attndsl.show.subject import Subject
from attndsl.show.tiles_panel import TilesPanel

SIDE = 3.2
"""Height of every panel in inches."""
LEFT, RIGHT, BETWEEN, LEGEND = 0.62, 0.25, 0.72, 2.4
TOP, BOTTOM = 0.95, 1.02


def draw(subject: Subject, query: Sequence[int] | None = None) -> Figure:
    """The picture of a bound pattern.

    Small patterns show every pair of tokens, and what their score says of positions; long ones show the
    block map. Spaces of two and three axes also show what the query at the coordinates `query` sees
    (default: the middle). Raises AttnScheduleError A0560 for a query outside of the space.
    """
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **palette.STYLE}):
        near = neighborhood(subject, query)
        panels = choose_panels(subject, near)
        widths = [panel.width(SIDE) for panel in panels]
        beside = LEGEND if len(panels) == 1 else 0.0
        page = LEFT + sum(widths) + BETWEEN * (len(panels) - 1) + beside + RIGHT
        figure = Figure(figsize=(page, TOP + SIDE + BOTTOM), facecolor="white")
        left = LEFT
        for panel, width in zip(panels, widths, strict=True):
            panel.draw(figure, Box(left, BOTTOM, width, SIDE))
            text(figure, left, BOTTOM + SIDE + 0.1, panel.title, fontsize=8.5, fontweight="bold")
            left += width + BETWEEN
        _draw_title(figure, subject)
        if beside:
            draw_legend_beside(figure, subject, left - BETWEEN + 0.3, BOTTOM + SIDE - 0.12)
        else:
            draw_legend_below(figure, subject, near, LEFT)
    return figure


def choose_panels(subject: Subject, near: Neighborhood | None) -> list[Panel]:
    """The panels that suit the size of the space; near: what one query sees, where that can be drawn."""
    panels: list[Panel] = []
    if subject.is_small:
        classes = subject.pair_classes()
        panels += [MaskPanel(subject, classes), SortedPanel(subject, classes)]
        score = positional_score(subject)
        if score is not None:
            panels.append(ScorePanel(subject, classes, score))
    else:
        panels.append(TilesPanel(subject))
    return panels if near is None else [*panels, NeighborhoodPanel(near)]


def _draw_title(figure: Figure, subject: Subject) -> None:
    """The pattern's name with its parameters, and below it the sizes."""
    top = TOP + SIDE + BOTTOM
    text(figure, LEFT, top - 0.33, subject.ir.name, fontsize=12, fontweight="bold")
    text(figure, LEFT, top - 0.54, "   ·   ".join(facts(subject)), fontsize=8, color=palette.FAINT)


def facts(subject: Subject) -> list[str]:
    """Tokens, head and tiles."""
    ir, schedule = subject.ir, subject.schedule
    return [
        f"{_space(ir.query_space.segments)} tokens",
        *([f"keys {_space(ir.key_space.segments)}"] if ir.key_space != ir.query_space else []),
        *([f"head {subject.head} of {ir.heads}"] if subject.heads_differ else []),
        f"q tile {_tile(schedule.q_tile, schedule.q_step)}",
        f"kv tile {_tile(schedule.kv_tile, schedule.kv_step)}",
    ]


def _tile(extents: Sequence[int], steps: Sequence[int]) -> str:
    apart = f" ({_times(steps)} apart)" if max(steps) > 1 else ""
    return _times(extents) + apart


def _times(extents: Sequence[int]) -> str:
    return " \u00d7 ".join(f"{extent:,}" for extent in extents)


def _space(segments: Sequence[Segment]) -> str:
    return " + ".join(_times(each.extents) for each in segments if each.size)
