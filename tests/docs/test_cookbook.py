"""docs/cookbook shows the whole library, and is what scripts/cookbook writes."""

from __future__ import annotations

import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

import attndsl
from attndsl import library
from attndsl.diagnostics import AttnError, AttnUnsupportedError
from attndsl.source import Source
from attndsl.syntax.parser import parse
from scripts.cookbook import picture, setting
from scripts.cookbook.page import page, section, table
from scripts.cookbook.recipe import DOCSTRING, clauses, pattern_of, recipe

COOKBOOK = Path(__file__).resolve().parents[2] / "docs" / "cookbook"

LARGEST_PICTURE = 60 * 1024


@pytest.mark.slow
def test_the_page_is_up_to_date() -> None:
    recipes = [recipe(name) for name in attndsl.patterns()]
    written = (COOKBOOK / "README.md").read_text(encoding="utf-8")
    assert written == page(recipes), "run: make docs"


def test_the_page_shows_every_pattern_as_it_is() -> None:
    written = (COOKBOOK / "README.md").read_text(encoding="utf-8")
    lines = {name: DOCSTRING.sub("", library.source(name).text).strip() for name in attndsl.patterns()}
    assert [name for name, text in lines.items() if text not in written] == [], "run: make docs"


def test_every_picture_on_the_page_exists_and_is_small() -> None:
    text = (COOKBOOK / "README.md").read_text(encoding="utf-8")
    shown = {COOKBOOK / link for link in re.findall(r"!\[[^]]*\]\(([^)]*)\)", text)}
    assert shown == set((COOKBOOK / "images").glob("*")), "run: make docs"
    assert {path for path in shown if path.stat().st_size > LARGEST_PICTURE} == set()


def test_a_section_has_the_lines_of_the_pattern_without_its_docstrings() -> None:
    lines = recipe("halo").lines
    assert lines.startswith("def halo_axis(query, key, block, halo):\n    require block >= 1")
    assert '"""' not in lines
    assert attndsl.parse(lines).bind(shape=(8, 8), block=4, halo=1).mask().any()


def test_a_section_lists_all_settings_but_the_small_one() -> None:
    assert [each.name for each in recipe("causal").settings] == ["llama-3-8b"]


def test_the_overview_shows_the_setting_with_the_most_tokens() -> None:
    assert recipe("gna").largest.name == "hunyuan-video"


def test_a_setting_is_bound_as_the_command_line_binds_it() -> None:
    bound = setting.problem("radial", "shape=7,128 text=16 heads=4 kv-heads=2 block=32").bound
    assert (bound.ir.heads, bound.ir.kv_heads, bound.ir.query_space.size) == (4, 2, 912)
    crossed = setting.problem("video_infinity", "shape=24 key-shape=40 pad=6").bound
    assert crossed.ir.key_space.size == 40


def test_the_command_of_a_setting_prints_its_prediction() -> None:
    found = recipe("radial").settings[0]
    assert found.command == (
        "attndsl simulate radial --shape 30,3840 --set text=256 --heads 24 --set decay=0.95"
    )


def test_clauses_are_named_by_their_words_with_those_of_branches() -> None:
    text = """
pattern both(block: int):
    space tokens(n)
    let doubled = 2 * block
    branch near:
        attend sliding(block)
    branch far:
        attend causal
        decay 0.5 per step of n
    combine near + far
"""
    found = clauses(pattern_of(parse(Source("both.attn", text)), "both").clauses)
    assert list(dict.fromkeys(found)) == ["branch", "attend", "decay", "combine"]


def test_a_setting_that_cannot_be_predicted_is_listed_with_the_reason() -> None:
    found = setting.setting("gna", "wrong", "shape=12,12 window=99")
    assert found.report is None
    assert found.tokens == 144
    shown = section(replace(recipe("gna"), settings=(found,)))
    assert "| `wrong` | `shape=12,12 window=99` | - | 144 | - | - | - |" in shown
    assert f"- `wrong`: {found.remarks[0]}." in shown
    assert found.remarks[0].startswith("not predicted: window * dilation must fit into the axis")


def test_a_pattern_that_cannot_be_drawn_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AttnUnsupportedError("A0901", "routes are not compiled yet")

    monkeypatch.setattr(picture, "problem", refuse)
    assert picture.undrawn("gna") == "routes are not compiled yet"
    shown = section(replace(recipe("causal"), undrawn="routes are not compiled yet"))
    assert "No picture: routes are not compiled yet." in shown
    assert "![" not in shown


def test_other_mistakes_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "problem", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        picture.undrawn("gna")
    assert not issubclass(ZeroDivisionError, AttnError)


def test_pictures_show_two_heads_where_heads_differ() -> None:
    assert [each.head for each in picture.subjects("moa")] == [0, 3]
    assert [each.head for each in picture.subjects("gna")] == [0]


def test_pictures_of_patterns_with_inputs_show_five_documents() -> None:
    (subject,) = picture.subjects("document")
    assert sorted(set(subject.inputs["doc"].tolist())) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("tokens", "in_a_tile"), [(24, 4), (64, 8), (144, 8), (512, 16), (912, 16)])
def test_a_tile_of_a_picture_has_about_as_many_tokens_as_there_are_tiles(tokens: int, in_a_tile: int) -> None:
    assert picture.tile_tokens(tokens) == in_a_tile


def test_a_picture_is_a_small_file_that_is_always_the_same() -> None:
    first = picture.picture("causal")
    assert first == picture.picture("causal")
    assert Image.open(BytesIO(first)).format == "PNG"
    assert len(first) < LARGEST_PICTURE


def test_a_table_aligns_its_last_columns_to_the_right() -> None:
    assert table(("a", "b"), [("x", "1")], numbers=1) == "| a | b |\n| --- | ---: |\n| x | 1 |\n"
