"""A Python function and the text of the same pattern have the same pattern IR."""

from __future__ import annotations

import pytest

import attndsl
from attndsl.ir.pattern_text import pattern_text
from tests.trace import twins, twins_of_branches, twins_of_recurrences, twins_of_routes, twins_of_weights

SHIPPED = attndsl.patterns()
ALL = twins.TWINS | twins_of_weights.TWINS | twins_of_recurrences.TWINS | twins_of_branches.TWINS
ALL |= twins_of_routes.TWINS
TWINS = {name: twin for name, twin in ALL.items() if name in SHIPPED}


@pytest.mark.parametrize("name", TWINS)
def test_the_twin_of_a_library_pattern_has_equal_ir(name: str) -> None:
    text, python = attndsl.pattern(name).ir, TWINS[name].ir
    assert pattern_text(python) == pattern_text(text)
    assert python == text


@pytest.mark.parametrize("name", TWINS)
def test_the_text_that_to_attn_prints_has_equal_ir(name: str) -> None:
    assert attndsl.parse(TWINS[name].to_attn()).ir == TWINS[name].ir


def test_the_twins_are_patterns_of_the_library() -> None:
    assert set(twins.TWINS) <= set(TWINS)
    assert len(twins.TWINS) >= 29
