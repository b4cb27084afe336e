"""The loosest mask of a data-dependent pattern: what some input can show, and no more."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import attndsl
from attndsl.ir.evaluate import mask_rows
from attndsl.simulate.inputs import is_data_dependent, loosest

MASKS = [
    "doc[q] == doc[k]",
    "doc[q] == doc[k] and k.n <= q.n",
    "k.n <= q.n or not doc[k] == 1",
    "not (doc[q] == 1 or k.n > q.n)",
    "k.n < 2 if doc[q] == 0 else k.n > 1",
    "k.n == 0 if q.n == 1 else doc[k] == 1",
]


@pytest.mark.parametrize("mask", MASKS)
def test_a_pair_is_possible_exactly_if_some_input_shows_it(mask: str) -> None:
    text = f"pattern local():\n    space tokens(n)\n    input doc: int[tokens]\n    attend {mask}\n"
    ir = attndsl.parse(text).bind(shape=4).ir
    shown = np.zeros((4, 4), dtype=bool)
    for doc in product((0, 1), repeat=4):
        shown |= mask_rows(ir, 0, 0, 4, {"doc": np.array(doc)})
    possible = mask_rows(loosest(ir), 0, 0, 4, {})
    if mask == "doc[q] == doc[k]" or " if " not in mask:
        np.testing.assert_array_equal(possible, shown)
    assert (possible >= shown).all()


def test_other_patterns_stay_as_they_are() -> None:
    ir = attndsl.pattern("causal").bind(shape=4).ir
    assert not is_data_dependent(ir)
    assert loosest(ir) is ir
