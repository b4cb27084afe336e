"""The legend: what the colours mean, with counts, and the figures that matter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isinf

from matplotlib.figure import Figure

from attndsl.show import palette
from attndsl.show.neighborhood import Neighborhood
from attndsl.show.page import edge_of, square, text
from attndsl.show.subject import Subject

LINE = 0.26
"""Inches from one line to the next."""


@dataclass(frozen=True)
class Entry:
    """Colours or marks and what they mean."""

    colours: tuple[str, ...]
    label: str
    has_cross: bool = False
    has_outline: bool = False


def draw_legend_below(figure: Figure, subject: Subject, near: Neighborhood | None, left: float) -> None:
    """In one line, and below it density and speedups."""
    draw_entries(figure, entries(subject, near), left)
    text(figure, left, 0.16, "   ·   ".join(figures(subject)), fontsize=8, fontweight="bold")


def draw_entries(figure: Figure, found: Iterable[Entry], left: float) -> None:
    """Entries in one line."""
    place = left
    for entry in found:
        place = _draw(figure, entry, place, 0.42) + 0.28


def draw_legend_beside(figure: Figure, subject: Subject, left: float, top: float) -> None:
    """One entry below the other, then density and speedups."""
    for number, entry in enumerate(entries(subject, None)):
        _draw(figure, entry, left, top - number * LINE)
    for number, words in enumerate(figures(subject), start=4):
        text(figure, left, top - number * LINE, words, fontsize=8, fontweight="bold")


def entries(subject: Subject, near: Neighborhood | None) -> list[Entry]:
    """All entries, with counts of this head's tile pairs. near: what a panel shows of one query."""
    block_map = subject.block_map
    total = block_map.rows * block_map.columns
    full, visited = block_map.full_tiles, block_map.visited_tiles
    with_pairs = near is not None or subject.is_small
    partial = (palette.PARTIAL, palette.MASKED) if with_pairs else (palette.PARTIAL,)
    meaning = "partial tiles: visible, masked" if with_pairs else "partial tiles"
    found = [
        Entry((palette.FULL,), f"full tiles  {_share(full, total)}"),
        Entry(partial, f"{meaning}  {_share(visited - full, total)}"),
        Entry((palette.SKIPPED,), f"skipped tiles  {_share(total - visited, total)}"),
    ]
    if near is not None and near.same_space:
        label = "the query, its q tile" if near.has_outline else "the query"
        found.append(Entry((), label, has_cross=True, has_outline=near.has_outline))
    return found


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
    if entry.has_cross:
        left = text(figure, left, bottom, "+", fontsize=8, fontweight="bold", color=palette.QUERY) + 0.06
    if entry.has_outline:
        left = square(figure, left, bottom, "none", palette.QUERY) + 0.06
    return text(figure, left + 0.03, bottom, entry.label, fontsize=8)


def _share(part: int, total: int) -> str:
    return f"{part:,} ({100 * part / max(total, 1):.3g} %)"
