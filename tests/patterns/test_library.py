"""Every shipped pattern means its published formula: equal masks on random settings, entry by entry."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

import attndsl
from tests.patterns.cases import CASES, Case
from tests.patterns.formulas import FORMULAS, Mask
from tests.patterns.names import MASKS

SEEDS = range(20)
INPUTS = ("doc",)


def mask_of(name: str, case: Case) -> Mask:
    """What attndsl makes of the shipped text: [heads or 1, Nq, Nk]."""
    numbers = {key: value for key, value in case.items() if key not in INPUTS}
    inputs = {key: value for key, value in case.items() if key in INPUTS}
    return attndsl.pattern(name).bind(**numbers).mask(**inputs)


def test_every_pattern_of_the_library_has_a_formula_and_cases() -> None:
    assert MASKS == sorted(CASES) == sorted(FORMULAS)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_shipped_text_equals_the_formula(name: str, seed: int) -> None:
    case = CASES[name](Random(f"{name} {seed}"))
    expected = FORMULAS[name](**case)
    actual = mask_of(name, case)
    wrong = np.argwhere(np.not_equal(*np.broadcast_arrays(actual, expected)))
    assert actual.shape[-2:] == expected.shape[-2:]
    assert wrong.tolist() == [], f"{name} {case}: wrong at (head, query, key)"


@pytest.mark.parametrize("name", CASES)
def test_the_cases_are_not_all_dense_nor_all_the_same(name: str) -> None:
    masks = [FORMULAS[name](**CASES[name](Random(f"{name} {seed}"))) for seed in SEEDS]
    assert len({mask.tobytes() for mask in masks}) > 1
    assert name == "full" or any(not mask.all() for mask in masks)


def test_neighborhood_sta_and_blocked_are_special_cases_of_gna() -> None:
    shape = (9, 12)
    as_gna: dict[str, Case] = {
        "neighborhood": {"window": (3, 4), "dilation": (2, 3)},
        "sta": {"window": (3, 9), "stride": (1, 3)},
        "blocked": {"window": (4, 5), "stride": (4, 5)},
    }
    own: dict[str, Case] = {
        "neighborhood": {"window": (3, 4), "dilation": (2, 3)},
        "sta": {"tile": (1, 3), "window": (3, 9)},
        "blocked": {"window": (4, 5)},
    }
    for name, numbers in own.items():
        mask = attndsl.pattern(name).bind(shape=shape, **numbers).mask()
        assert np.array_equal(mask, attndsl.pattern("gna").bind(shape=shape, **as_gna[name]).mask()), name
