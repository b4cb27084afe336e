"""Random patterns: the function that says the same as a text has the same mask, and IR that prints as it."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import given, settings

import attndsl
from tests.properties.strategies_language import RandomPattern, patterns
from tests.trace.as_python import as_python
from tests.trace.python_functions import run


def traced(random: RandomPattern) -> attndsl.TracedPattern:
    with warnings.catch_warnings():  # Python warns of `~True` and of comparing with literals
        warnings.simplefilter("ignore")
        found: attndsl.TracedPattern = run(as_python(random.text))["random"]
    return found


@settings(max_examples=40, deadline=None)
@given(patterns())
def test_a_function_has_the_mask_of_its_text_and_prints_as_itself(random: RandomPattern) -> None:
    text, python = attndsl.parse(random.text), traced(random)
    numbers = {"heads": random.heads, **random.numbers}
    assert np.array_equal(text.bind(**numbers).mask(), python.bind(**numbers).mask())
    assert attndsl.parse(python.to_attn()).ir == python.ir
