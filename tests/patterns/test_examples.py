"""The settings that a pattern's docstring names: each binds, the small one is small and interesting."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

import attndsl
from tests.patterns.examples import examples, setting
from tests.patterns.formulas import FORMULAS
from tests.patterns.names import MASKS

SETTINGS = [(pattern, name) for pattern in attndsl.patterns() for name in examples(pattern)]


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("shape=64", ("shape", (64,))),
        ("key-shape=40", ("key_shape", (40,))),
        ("kv-heads=8", ("kv_heads", 8)),
        ("window=7,9", ("window", (7, 9))),
        ("causal=true,false", ("causal", (True, False))),
        ("decay=0.95", ("decay", 0.95)),
    ],
)
def test_a_setting_is_written_as_on_the_command_line(word: str, meaning: tuple[str, object]) -> None:
    assert setting(word) == meaning


@pytest.mark.parametrize(("pattern", "name"), SETTINGS)
def test_every_setting_binds(pattern: str, name: str) -> None:
    attndsl.pattern(pattern).bind(**examples(pattern)[name])


@pytest.mark.parametrize("pattern", attndsl.patterns())
def test_the_small_setting_has_at_most_1024_tokens(pattern: str) -> None:
    small = examples(pattern)["small"]
    assert prod(small["shape"]) + small.get("text", 0) <= 1024


@pytest.mark.parametrize("pattern", MASKS)
def test_the_small_setting_equals_the_formula(pattern: str) -> None:
    small = examples(pattern)["small"]
    inputs = {"doc": np.arange(small["shape"][0]) // 10} if pattern == "document" else {}
    mask = attndsl.pattern(pattern).bind(**small).mask(**inputs)
    expected = FORMULAS[pattern](**small, **inputs)
    assert np.equal(*np.broadcast_arrays(mask, expected)).all()
    assert pattern == "full" or 0 < mask.mean() < 1
