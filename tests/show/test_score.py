"""The panel of scores: what a score says of positions, on the pairs that are visible."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import attndsl
from attndsl.show import Subject
from attndsl.show.figure import choose_panels, facts
from attndsl.show.score import positional_score
from attndsl.show.score_panel import FAINTEST, ScorePanel, scored_colours
from tests.show.subjects import of_pattern, subject

PATTERN = """
pattern p:
    space tokens(n)
    {clauses}
"""


def scored(clauses: str, heads: int = 2) -> Subject:
    return of_pattern(attndsl.parse(PATTERN.format(clauses=clauses)), 4, 4, shape=8, heads=heads)


def test_a_score_is_evaluated_at_a_product_of_zero_for_the_head() -> None:
    first = scored("attend causal\n    score 2 * s + 1 - (head + 1) * (q.n - k.n)")
    distance = np.arange(8)[:, None] - np.arange(8)
    for head in (0, 1):
        score = positional_score(replace(first, head=head))
        assert score is not None
        assert np.array_equal(score, 1.0 - (head + 1) * distance)


def test_segments_are_scored_in_their_own_coordinates() -> None:
    text = """
pattern p:
    space video(t) ++ text(n)
    attend true
    score s + q.index
"""
    both = of_pattern(attndsl.parse(text), 2, 2, shape=3, text=2)
    score = positional_score(both)
    assert score is not None
    assert score[:, 0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "clauses",
    [
        "attend causal",
        "attend causal\n    score 5.0 * tanh(s / 5.0)",
        "attend causal\n    score s * (head + 1)",
        "input b: real[query]\n    attend causal\n    score s + b[q]",
    ],
)
def test_scores_without_positions_or_with_data_have_no_panel(clauses: str) -> None:
    assert positional_score(scored(clauses)) is None


def test_small_patterns_have_the_panel_and_name_the_head() -> None:
    chosen = scored("attend causal\n    score s - (head + 1) * (q.n - k.n)")
    panels = choose_panels(chosen, None)
    assert [type(panel).__name__ for panel in panels] == ["MaskPanel", "SortedPanel", "ScorePanel"]
    assert panels[-1].title == "Score of a product of 0: -7 (pale) to 0 (dark)"
    assert "head 0 of 2" in facts(chosen)


def test_heads_that_agree_are_not_named() -> None:
    assert not scored("attend causal\n    score s - (q.n - k.n)").heads_differ
    assert subject("cswin", (2, 2), (2, 2), shape=(8, 8), heads=2, stripe=2).heads_differ


def test_invisible_pairs_are_blank_and_dark_means_high() -> None:
    score = np.array([[-2.0, -1.0, 0.0, 9.0]])
    visible = np.array([[True, True, True, False]])
    darkness = 1 - scored_colours(score, visible, -2.0, 0.0).mean(axis=-1)[0]
    blank = 1 - scored_colours(score, np.zeros_like(visible), -2.0, 0.0).mean(axis=-1)[0, 0]
    assert darkness[3] == blank < darkness[0] < darkness[1] < darkness[2]
    assert darkness[0] - blank == pytest.approx(FAINTEST * (darkness[2] - blank))


def test_equal_scores_and_infinite_ones_have_a_range() -> None:
    chosen = scored("attend causal")
    classes = chosen.pair_classes()
    flat = ScorePanel(chosen, classes, np.zeros((8, 8)))
    assert flat.title.endswith("0 (pale) to 0 (dark)")
    endless = ScorePanel(chosen, classes, np.full((8, 8), -np.inf))
    assert endless.title.endswith("0 (pale) to 0 (dark)")
    assert np.isfinite(scored_colours(endless.score, classes >= 2, 0.0, 0.0)).all()
