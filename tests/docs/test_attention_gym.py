"""docs/attention_gym.md lists every twin, and is what scripts/attention_gym.py writes."""

from __future__ import annotations

import pytest

pytest.importorskip("examples.attention_gym", reason="needs the source tree")

from examples.attention_gym.twins import twins
from scripts.attention_gym import PAGE, compared, lines, link, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: make docs"


def test_every_twin_has_a_row() -> None:
    rows = [line.split(" | ")[1] for line in page().splitlines() if line.startswith("| `")]
    assert rows == [link(each) for each in twins().values()]


def test_a_row_has_the_lines_behind_the_space_without_docstrings_and_requirements() -> None:
    assert list(lines(twins()["block_diffusion"]))[:2] == [
        "attend",
        "noised -> noised: q.n // block == k.n // block",
    ]
    assert [line.partition(" ")[0] for line in lines(twins()["activation"])] == [
        "def",
        "return",
        "attend",
        "weight",
        "normalize",
    ]


def test_a_row_names_the_learned_inputs() -> None:
    assert compared(twins()["sandwich"]) == "mask, output, gradients"
    assert compared(twins()["graphormer_edge"]) == "mask, output, gradients, also of `bias`"
