"""The legend: what the colours mean, with counts, and the figures that matter."""

from __future__ import annotations

from dataclasses import dataclass
from math import isinf

from matplotlib.figure import Figure

from attndsl.show import palette
from attndsl.show.page import edge_of, square, text
from attndsl.show.subject import Subject

LINE = 0.26
"""Inches from one line to the next."""


@dataclass(frozen=True)
class Entry:
    """Colours and what they mean; no colours for the marks of the query."""

    colours: tuple[str, ...]
    label: str


def draw_legend_below(figure: Figure, subject: Subject, left: float, has_query: bool) -> None:
    """In one line, and below it density and speedups."""
    place = left
    for entry in entries(subject, has_query):
        place = _draw(figure, entry, place, 0.42) + 0.28
    text(figure, left, 0.16, "   ·   ".join(figures(subject)), fontsize=8, fontweight="bold")


def draw_legend_beside(figure: Figure, subject: Subject, left: float, top: float) -> None:
    """One entry below the other, then density and speedups."""
    for number, entry in enumerate(entries(subject, has_query=False)):
        _draw(figure, entry, left, top - number * LINE)
    for number, words in enumerate(figures(subject), start=4):
        text(figure, left, top - number * LINE, words, fontsize=8, fontweight="bold")


def entries(subject: Subject, has_query: bool) -> list[Entry]:
    """All entries, with counts of this head's tile pairs. has_query: whether a panel shows a query's keys."""
    block_map = subject.block_map
    total = block_map.rows * block_map.columns
    full, visited = block_map.full_tiles, block_map.visited_tiles
    with_pairs = has_query or subject.is_small
    partial = (palette.PARTIAL, palette.MASKED) if with_pairs else (palette.PARTIAL,)
    meaning = "partial tiles: visible, masked" if with_pairs else "partial tiles"
    found = [
        Entry((palette.FULL,), f"full tiles  {_share(full, total)}"),
        Entry(partial, f"{meaning}  {_share(visited - full, total)}"),
        Entry((palette.SKIPPED,), f"skipped tiles  {_share(total - visited, total)}"),
    ]
    return [*found, Entry((), "the query, its q tile")] if has_query else found


def figures(subject: Subject) -> list[str]:
    """Density and speedups of the whole schedule."""
    density, speedup = subject.schedule.density, subject.schedule.tile_speedup
    flops = "nothing is visible" if density == 0 else f"FLOP speedup {1 / density:,.2f}\u00d7"
    tiles = [] if isinf(speedup) else [f"tile speedup {speedup:,.2f}\u00d7"]
    return [f"density {100 * density:.3g} %", flops, *tiles]


def _draw(figure: Figure, entry: Entry, left: float, bottom: float) -> float:
    """One entry; returns where it ends."""
    for colour in entry.colours:
        left = square(figure, left, bottom, colour, edge_of(colour)) + 0.06
    if not entry.colours:
        left = text(figure, left, bottom, "+", fontsize=8, fontweight="bold", color=palette.QUERY) + 0.06
        left = square(figure, left, bottom, "none", palette.QUERY) + 0.06
    return text(figure, left + 0.03, bottom, entry.label, fontsize=8)


def _share(part: int, total: int) -> str:
    return f"{part:,} ({100 * part / max(total, 1):.3g} %)"
