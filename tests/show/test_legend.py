"""The legend's counts and figures are those of the schedule."""

from __future__ import annotations

import re

from attndsl.show import palette
from attndsl.show.legend import entries, figures
from tests.show.subjects import square, subject


def counts(has_query: bool) -> list[int]:
    labels = (entry.label for entry in entries(square(), has_query) if entry.colours)
    return [int(re.findall(r"  ([\d,]+) \(", label)[0].replace(",", "")) for label in labels]


def test_full_partial_and_skipped_tiles_are_all_tiles() -> None:
    schedule = square().schedule
    assert counts(has_query=False) == [
        schedule.full_tiles,
        schedule.partial_tiles,
        schedule.total_tiles - schedule.visited_tiles,
    ]


def test_a_partial_tile_has_two_colours_where_pairs_are_drawn() -> None:
    partial = entries(square(), has_query=False)[1]
    assert partial.colours == (palette.PARTIAL, palette.MASKED)
    long = subject("causal", 512, 512, shape=4096)
    assert entries(long, has_query=False)[1].colours == (palette.PARTIAL,)


def test_the_query_is_explained_where_it_is_drawn() -> None:
    assert [entry.label for entry in entries(square(), has_query=True)][-1] == "the query, its q tile"


def test_figures_are_density_and_speedups() -> None:
    assert figures(subject("blocked", (4, 4), (4, 4), shape=(8, 8), window=(4, 4))) == [
        "density 25 %",
        "FLOP speedup 4.00\u00d7",
        "tile speedup 4.00\u00d7",
    ]


def test_a_pattern_that_shows_nothing_has_no_speedup() -> None:
    import attndsl
    from tests.show.subjects import of_pattern

    nothing = attndsl.parse("pattern nothing:\n    space tokens(n)\n    attend q.n < 0\n")
    assert isinstance(nothing, attndsl.Pattern)
    assert figures(of_pattern(nothing, 4, 4, shape=8)) == ["density 0 %", "nothing is visible"]
