"""Whole pictures: the panels that suit a pattern, what is written on them, and the files they become."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from xml.etree import ElementTree

import pytest

from attndsl.diagnostics import AttnFileError
from attndsl.show import Subject, draw, encode
from attndsl.show.figure import choose_panels, facts
from attndsl.show.neighborhood import neighborhood
from tests.show.subjects import square, subject, video

PNG = b"\x89PNG\r\n\x1a\n"


def texts(chosen: Subject) -> str:
    figure = draw(chosen)
    return "\n".join(
        [*(text.get_text() for text in figure.texts), *(axes.get_title() for axes in figure.axes)]
    )


@pytest.mark.parametrize(
    ("chosen", "panels"),
    [
        (square(), ["MaskPanel", "SortedPanel", "NeighborhoodPanel"]),
        (video(), ["TilesPanel", "NeighborhoodPanel"]),
        (subject("causal", 32, 32, shape=100), ["MaskPanel", "SortedPanel"]),
        (subject("causal", 512, 512, shape=5000), ["TilesPanel"]),
        (subject("video_infinity", 4, 8, shape=24, key_shape=40, pad=6), ["MaskPanel", "SortedPanel"]),
    ],
    ids=lambda value: value.ir.name if isinstance(value, Subject) else "",
)
def test_panels_suit_the_size_and_rank(chosen: Subject, panels: list[str]) -> None:
    assert [type(panel).__name__ for panel in choose_panels(chosen, neighborhood(chosen))] == panels


def test_the_title_is_the_bound_name() -> None:
    assert "gna_w6x4x4_s2x4x4" in texts(video())


def test_the_query_and_its_frame_are_named() -> None:
    shown = texts(video())
    assert "Keys of query (10, 4, 6)" in shown
    assert "axis 0 = 10" in shown


def test_sizes_are_stated() -> None:
    assert facts(video()) == [
        "20 \u00d7 8 \u00d7 12 tokens",
        "q tile 2 \u00d7 4 \u00d7 4",
        "kv tile 2 \u00d7 4 \u00d7 4",
    ]


def test_segments_and_heads_are_stated() -> None:
    radial = subject("radial", (1, 16), (1, 16), shape=(4, 32), text=7, block=16)
    assert facts(radial)[0] == "4 \u00d7 32 + 7 tokens"
    stripes = subject("cswin", (2, 4), (2, 4), head=3, shape=(8, 8), heads=4, stripe=2)
    assert facts(stripes)[1] == "head 3 of 4"


@pytest.mark.parametrize(
    "chosen",
    [
        subject("full", 1, 1, shape=1),
        subject("gna", (1, 1), (1, 1), shape=(1, 2), window=(1, 2)),
        subject("frame_causal", (1, 512), (1, 512), shape=(3, 5000)),
        subject("gna", (1, 2, 2, 1), (1, 2, 2, 1), shape=(2, 3, 3, 2), window=2),
    ],
    ids=lambda chosen: chosen.ir.name,
)
def test_odd_shapes_can_be_drawn(chosen: Subject) -> None:
    assert encode(draw(chosen), Path("odd.png")).startswith(PNG)


def test_a_million_tokens_take_no_mask_of_pairs() -> None:
    long = subject("causal", 1024, 1024, shape=1_000_000)
    assert long.schedule.density > 0.5
    tracemalloc.start()
    try:
        draw(long)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 300e6


def test_a_file_has_the_format_that_its_name_says() -> None:
    figure = draw(square())
    assert encode(figure, Path("a.png")).startswith(PNG)
    assert encode(figure, Path("a.pdf")).startswith(b"%PDF")
    assert ElementTree.fromstring(encode(figure, Path("a.SVG"))).tag.endswith("svg")


def test_the_same_picture_is_the_same_file() -> None:
    first, second = (encode(draw(square()), Path("a.svg")) for _ in range(2))
    assert first == second


def test_other_formats_are_refused() -> None:
    with pytest.raises(AttnFileError, match="A0808") as caught:
        encode(draw(square()), Path("a.jpg"))
    assert caught.value.help == "end the path with one of .png, .svg, .pdf"
