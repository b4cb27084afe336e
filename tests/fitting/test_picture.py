"""The picture of a layer: recall against density, the Pareto line, and what was chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import attndsl
from attndsl.fitting.candidates import candidates
from attndsl.fitting.picture import front, varied
from attndsl.fitting.result import Fit
from attndsl.show.encode import encode
from tests.fitting.sample_data import arrays, write


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    path = write(tmp_path_factory.mktemp("samples"), arrays(1))
    grids = {"streaming": {"sink": [0, 2], "window": [4, 8, 32]}, "causal": {}}
    return attndsl.fit(path, grids, budget=0.3)


def test_the_line_joins_what_no_other_candidate_beats() -> None:
    density = np.array([0.5, 0.1, 0.3, 0.3, 0.2, 0.9])
    kept = np.array([0.9, 0.2, 0.6, 0.7, 0.1, 0.9])
    assert front(density, kept) == [1, 3, 0]


def test_names_are_what_tells_a_candidate_from_others_of_its_pattern() -> None:
    found = candidates({"streaming": {"sink": 4, "window": [8, 16]}, "causal": {}})
    assert [varied(found, place) for place in range(3)] == ["window=8", "window=16", "causal"]


def test_the_choice_is_stated_and_drawn(result: Fit) -> None:
    figure = result.draw(0)
    words = " ".join(text.get_text() for text in figure.texts)
    assert "samples.npz, layer 0" in words
    assert f"{result.kept:.1%} kept at density {result.density:.1%}" in words
    (axes,) = figure.axes
    assert len(axes.collections) == len(result.candidates) + 3  # heads, the means, and twice the choice
    legend = axes.get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[:2] == ["streaming", "causal"]
    assert "chosen, mean" in labels


def test_without_a_choice_there_is_none_to_draw(tmp_path: Path) -> None:
    found = attndsl.fit(write(tmp_path, arrays(1)), {"streaming": {"sink": 0, "window": 8}})
    assert len(found.draw(0).axes[0].collections) == 2


def test_the_same_picture_is_the_same_file(result: Fit) -> None:
    first, second = (encode(result.draw(0), Path("a.png")) for _ in range(2))
    assert first == second
    assert first.startswith(b"\x89PNG")


@pytest.mark.parametrize("grids", [{"sink": 0, "window": 0}, {"sink": 0, "window": [0, 8]}])
def test_a_candidate_that_shows_nothing_can_be_drawn(tmp_path: Path, grids: dict[str, object]) -> None:
    found = attndsl.fit(write(tmp_path, arrays(1)), {"streaming": grids}, budget=0.5)
    assert encode(found.draw(0), Path("a.png")).startswith(b"\x89PNG")
    assert found.to_dict()["layers"][0]["tile_speedup"][0][0] is None
    assert "unbounded" in str(found)
