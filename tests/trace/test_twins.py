"""A Python function and the text of the same pattern have the same pattern IR."""

from __future__ import annotations

import pytest

import attndsl
from attndsl.ir.text import pattern_text
from tests.trace.twins import TWINS


@pytest.mark.parametrize("name", TWINS)
def test_the_twin_of_a_library_pattern_has_equal_ir(name: str) -> None:
    text, python = attndsl.pattern(name).ir, TWINS[name].ir
    assert pattern_text(python) == pattern_text(text)
    assert python == text


@pytest.mark.parametrize("name", TWINS)
def test_the_text_that_to_attn_prints_has_equal_ir(name: str) -> None:
    assert attndsl.parse(TWINS[name].to_attn()).ir == TWINS[name].ir


def test_most_of_the_library_has_a_twin() -> None:
    assert len(TWINS) >= 29
    assert set(TWINS) <= set(attndsl.patterns())
