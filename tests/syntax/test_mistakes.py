"""What the parser says about each mistake: code, place and text, as golden files in tests/golden/syntax."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from attndsl.diagnostics import AttnSyntaxError
from attndsl.grammar.mistake import Mistake
from attndsl.grammar.mistakes import TABLE
from attndsl.source import Source
from attndsl.syntax.parser import parse
from tests.syntax.mistake_texts import TEXTS


def error_in(text: str) -> AttnSyntaxError:
    with pytest.raises(AttnSyntaxError) as caught:
        parse(Source("my.attn", text))
    return caught.value


@pytest.mark.parametrize("name", TEXTS)
def test_what_a_mistake_is_told(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"syntax/{name}.txt", error_in(TEXTS[name]).render() + "\n")


@pytest.mark.parametrize("name", TEXTS)
def test_every_error_has_a_place_and_a_fix(name: str) -> None:
    error = error_in(TEXTS[name])
    assert re.fullmatch("A01[0-9][0-9]", error.code)
    assert error.span is not None
    assert error.help


@pytest.mark.parametrize("name", TEXTS)
def test_names_of_terminals_stay_inside(name: str) -> None:
    assert not re.search(r"\b_?[A-Z]{3,}\b|\$END", error_in(TEXTS[name]).message.replace("NUL", ""))


def test_every_entry_of_the_table_is_told_for_some_text() -> None:
    told = {(error.code, error.message) for error in map(error_in, TEXTS.values())}
    unused = [mistake for mistake in TABLE if not any(_tells(mistake, *one) for one in told)]
    assert unused == []


def _tells(mistake: Mistake, code: str, message: str) -> bool:
    holes = re.escape(mistake.message).replace(r"\{found\}", ".*").replace(r"\{before\}", ".*")
    return mistake.code == code and re.fullmatch(holes, message) is not None


@pytest.mark.parametrize(
    "mistake", [mistake for mistake in TABLE if mistake.examples], ids=lambda m: m.message
)
def test_the_examples_of_a_mistake_are_told_that_mistake(mistake: Mistake) -> None:
    for example in mistake.examples:
        assert (error_in(example).code, error_in(example).message) == (mistake.code, mistake.message)
