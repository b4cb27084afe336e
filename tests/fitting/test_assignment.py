"""The solver's choice: as good as the best of all choices, and within the budget."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from attndsl.diagnostics import AttnScheduleError, AttnWarning
from attndsl.fitting import program
from attndsl.fitting.assignment import assign, mean_density
from attndsl.fitting.program import Choice, Family, Program

Layers = list[list[Family]]


def problem(seed: int) -> tuple[Layers, list[float]]:
    """Two layers of two heads: a family with choices for each head, and two without."""
    chance = np.random.default_rng(seed)

    def family(candidates: int) -> Family:
        return Family(chance.random((2, candidates)), chance.uniform(0.05, 1, (2, candidates)))

    return [[family(3), family(1), family(1)] for _ in range(2)], [1.0, float(chance.integers(1, 5))]


def all_choices(layer: Sequence[Family]) -> Iterator[Choice]:
    for number, family in enumerate(layer):
        heads, count = family.kept.shape
        each = itertools.product(range(count), repeat=heads) if count > 1 else [(0,) * heads]
        yield from (Choice(number, np.array(candidates)) for candidates in each)


def kept(layers: Layers, choices: Sequence[Choice]) -> float:
    heads = np.arange(2)
    return sum(
        float(layer[choice.family].kept[heads, choice.candidates].sum())
        for layer, choice in zip(layers, choices, strict=True)
    )


@pytest.mark.parametrize("budget", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(6))
def test_no_other_choice_within_the_budget_keeps_more(seed: int, budget: float) -> None:
    layers, weights = problem(seed)
    scaled = [weight / (2 * sum(weights)) for weight in weights]
    every = list(itertools.product(*map(all_choices, layers)))
    feasible = [each for each in every if mean_density(layers, scaled, each) <= budget]
    if not feasible:
        with pytest.raises(AttnScheduleError, match="A0520"):
            assign(layers, weights, budget)
        return
    found = assign(layers, weights, budget)
    assert mean_density(layers, scaled, found) <= budget + 1e-9
    assert kept(layers, found) == pytest.approx(max(kept(layers, each) for each in feasible), abs=1e-5)


def test_heads_of_one_layer_share_a_family() -> None:
    first = Family(np.array([[0.9, 0.1], [0.2, 0.1]]), np.full((2, 2), 0.5))
    second = Family(np.array([[0.1, 0.2], [0.8, 0.7]]), np.full((2, 2), 0.5))
    (choice,) = assign([[first, second]], [1.0], 1.0)
    assert choice.family == 0
    assert choice.candidates.tolist() == [0, 0]


def test_a_budget_that_is_just_met_is_met() -> None:
    family = Family(np.array([[0.2, 0.9]] * 3), np.array([[0.1, 0.25]] * 3))
    (choice,) = assign([[family]], [1.0], 0.25)
    assert choice.candidates.tolist() == [1, 1, 1]


def test_a_solver_that_rounds_beyond_the_budget_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    solve = Program.solve
    limits: list[float] = []

    def generous(of: Program, solver: Any, limit: float) -> Any:
        limits.append(limit)
        return solve(of, solver, 1.02 * limit)

    monkeypatch.setattr(Program, "solve", generous)
    layers, weights = problem(0)
    found = assign(layers, weights, 0.5)
    assert len(limits) > 1
    assert mean_density(layers, [weight / (2 * sum(weights)) for weight in weights], found) <= 0.5 + 1e-9


def test_a_choice_that_is_not_proven_best_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    layers, weights = problem(1)
    expected = assign(layers, weights, 0.5)
    optimize, _ = program.require_scipy()
    milp = optimize.milp

    def late(*args: Any, **options: Any) -> Any:
        found = milp(*args, **options)
        found.status, found.mip_gap = program.OUT_OF_TIME, 0.0123
        return found

    monkeypatch.setattr(optimize, "milp", late)
    with pytest.warns(AttnWarning, match="keeps up to 1.23% more was not ruled out"):
        found = assign(layers, weights, 0.5)
    assert kept(layers, found) == kept(layers, expected)


def test_layers_with_more_pairs_of_tokens_weigh_more() -> None:
    family = Family(np.array([[0.5, 0.9]]), np.array([[0.1, 0.5]]))
    choices = assign([[family], [family]], [1.0, 9.0], 0.2)
    assert [int(choice.candidates[0]) for choice in choices] == [1, 0]


def test_many_heads_and_candidates_are_solved() -> None:
    chance = np.random.default_rng(0)
    shape = (16, 12)
    kept, density = (np.sort(chance.random(shape), axis=1) for _ in range(2))
    layers = [[Family(kept, density), Family(kept[:, :1], density[:, :1])] for _ in range(8)]
    choices = assign(layers, [1.0] * 8, 0.3)
    assert mean_density(layers, [1 / 128] * 8, choices) <= 0.3 + 1e-9


@pytest.mark.parametrize("budget", [0, 1.5, -0.1, float("nan"), True, "0.5"])
def test_a_budget_is_a_density(budget: float) -> None:
    with pytest.raises(AttnScheduleError, match="A0521"):
        assign(*problem(0), budget)
