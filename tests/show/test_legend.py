"""The legend's counts and figures are those of the schedule."""

from __future__ import annotations

import re

import attndsl
from attndsl.show import palette
from attndsl.show.legend import entries, figures
from attndsl.show.neighborhood import neighborhood
from tests.show.subjects import of_pattern, square, subject

CROSS = """pattern zoom:
    query space small(y, x)
    key space large(v, u)
    attend q.y == k.v // 2 and q.x <= k.u
"""


def counts() -> list[int]:
    labels = (entry.label for entry in entries(square(), None) if entry.colours)
    return [int(re.findall(r"  ([\d,]+) \(", label)[0].replace(",", "")) for label in labels]


def test_full_partial_and_skipped_tiles_are_all_tiles() -> None:
    schedule = square().schedule
    assert counts() == [
        schedule.full_tiles,
        schedule.partial_tiles,
        schedule.total_tiles - schedule.visited_tiles,
    ]


def test_a_partial_tile_has_two_colours_where_pairs_are_drawn() -> None:
    partial = entries(square(), None)[1]
    assert partial.colours == (palette.PARTIAL, palette.MASKED)
    long = subject("causal", 512, 512, shape=4096)
    assert entries(long, None)[1].colours == (palette.PARTIAL,)


def test_the_query_is_explained_where_it_is_drawn() -> None:
    labels = [entry.label for entry in entries(square(), neighborhood(square()))]
    assert labels[-1] == "the query, its q tile"


def test_a_query_of_another_space_has_no_mark() -> None:
    cross = attndsl.parse(CROSS)
    assert isinstance(cross, attndsl.Pattern)
    chosen = of_pattern(cross, (2, 2), (2, 2), shape=(4, 4), key_shape=(8, 6))
    labels = [entry.label for entry in entries(chosen, neighborhood(chosen))]
    assert "the query, its q tile" not in labels


def test_a_tile_with_gaps_has_no_outline() -> None:
    dilated = subject("gna", None, None, shape=(16, 16), window=(4, 4), dilation=(4, 4))
    last = entries(dilated, neighborhood(dilated))[-1]
    assert (last.label, last.has_cross, last.has_outline) == ("the query", True, False)


def test_figures_are_density_and_speedups() -> None:
    assert figures(subject("blocked", (4, 4), (4, 4), shape=(8, 8), window=(4, 4))) == [
        "density 25 %",
        "FLOP speedup 4.00\u00d7",
        "tile speedup 4.00\u00d7",
    ]


def test_a_pattern_that_shows_nothing_has_no_speedup() -> None:
    nothing = attndsl.parse("pattern nothing:\n    space tokens(n)\n    attend q.n < 0\n")
    assert isinstance(nothing, attndsl.Pattern)
    assert figures(of_pattern(nothing, 4, 4, shape=8)) == ["density 0 %", "nothing is visible"]
