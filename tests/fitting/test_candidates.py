"""Candidates: grids, families, and which parameters heads choose for themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import attndsl
from attndsl.diagnostics import AttnBindError, AttnFileError, AttnScheduleError
from attndsl.fitting.candidates import candidates, merged, per_head_parameters
from attndsl.fitting.labels import spelled

SHARED = """pattern p(alpha: int[heads]):
    space tokens(n)
    attend causal and q.n - k.n < alpha[head] + alpha[0]
"""


def test_a_list_is_a_grid_and_a_tuple_one_value() -> None:
    found = candidates({"gna": {"window": [(3, 3), 5], "stride": (1, 1)}, "causal": {}})
    assert [each.label for each in found] == [
        "gna window=3,3 stride=1,1",
        "gna window=5 stride=1,1",
        "causal",
    ]


def test_grids_are_combined() -> None:
    found = candidates({"streaming": {"sink": [0, 4], "window": [8, 16, 32]}})
    assert len(found) == 6
    assert len({each.family for each in found}) == 6


def test_values_per_head_form_one_family_for_each_value_of_the_others() -> None:
    found = candidates({"moa": {"alpha": [0, 64], "beta": [0.0, 0.5], "block": [16, 64]}})
    families = {each.values["block"]: {e.family for e in found if e.values == each.values} for each in found}
    assert len(found) == 8
    assert len({each.family for each in found}) == 2
    assert families[16] != families[64]


def test_the_same_pattern_may_come_twice() -> None:
    pairs = [("moa", {"alpha": 0, "beta": 0.5}), ("moa", {"alpha": 64, "beta": 0.0})]
    assert len({each.family for each in candidates(pairs)}) == 1


def test_a_parameter_left_to_its_default_is_not_mixed_with_one_that_is_given() -> None:
    head = "pattern p(a: int[heads], b: int[heads] = 4):\n    space tokens(n)\n"
    pattern = attndsl.parse(f"{head}    attend b[head] <= q.n - k.n <= a[head]\n")
    found = candidates([(pattern, {"a": 8}), (pattern, {"a": 8, "b": 2})])
    assert len({each.family for each in found}) == 2


def test_a_layer_takes_one_value_per_head() -> None:
    found = candidates({"moa": {"alpha": [0, (1, 2, 3)], "beta": 0.5, "block": 16}})
    chosen = [found[0], found[1], found[1]]
    assert merged(chosen) == {"alpha": [0, 2, 3], "beta": [0.5, 0.5, 0.5], "block": 16}


@pytest.mark.parametrize(("name", "expected"), [("moa", {"alpha", "beta"}), ("s2", set()), ("gna", set())])
def test_values_per_head_are_those_that_the_pattern_declares(name: str, expected: set[str]) -> None:
    assert per_head_parameters(attndsl.pattern(name).ir) == expected


def test_a_parameter_that_a_head_reads_for_another_is_chosen_for_all_heads() -> None:
    assert per_head_parameters(attndsl.parse(SHARED).ir) == frozenset()


def test_files_and_patterns_are_candidates_too(tmp_path: Path) -> None:
    path = tmp_path / "two.attn"
    path.write_text(SHARED + "\npattern other:\n    space tokens(n)\n    attend causal\n")
    loaded = attndsl.load(path).other
    found = candidates([(f"{path}:other", {}), (loaded, {})])
    assert [each.name for each in found] == [f"{path}:other", "other"]
    with pytest.raises(AttnFileError, match="A0807"):
        candidates([(path, {})])


def test_names_are_those_of_the_language() -> None:
    assert spelled((True, False)) == "true,false"
    assert spelled([0.5, 0.25]) == "0.5,0.25"
    assert spelled([64, 0, 64, 128, 0]) == "0..128"
    assert spelled([64] * 8) == "64"


def test_unknown_values_are_refused_when_they_are_bound() -> None:
    (candidate,) = candidates({"causal": {"windw": 3}})
    with pytest.raises(AttnBindError, match="A0402"):
        candidate.bind((8,), 1, 1)


def test_too_many_candidates_are_refused_before_they_are_made() -> None:
    many = list(range(10_000))
    with pytest.raises(AttnScheduleError, match="A0527"):
        candidates({"streaming": {"sink": many, "window": many}})


def test_arrays_are_values_of_plain_numbers() -> None:
    found = candidates({"gna": {"window": [np.array([3, 5]), [7, 7]], "stride": np.int64(1)}})
    assert [each.values for each in found] == [
        {"window": (3, 5), "stride": 1},
        {"window": (7, 7), "stride": 1},
    ]
