"""Pools over tokens with something in common, and integers with the largest sums."""

from __future__ import annotations

import pytest
import torch

from attndsl.runtime.route_groups import pooled_alike, pooled_where, top_numbers


def test_rows_may_be_summed_in_parts() -> None:
    torch.manual_seed(0)
    values = torch.rand(2, 3, 12, 9, dtype=torch.float64)
    numbers = (torch.arange(12)[:, None] - torch.arange(9)).view(1, 1, 12, 9)
    whole = top_numbers([(values, numbers)], 4)
    rows = [slice(0, 5), slice(5, 10), slice(10, 12)]
    parts = top_numbers([(values[:, :, each], numbers[:, :, each]) for each in rows], 4)
    assert (whole.holds(numbers) == parts.holds(numbers)).all()
    assert (whole.chosen.sum(2) == 4).all()


def test_the_chosen_integers_have_the_largest_sums() -> None:
    values = torch.tensor([[1.0, 2.0, 4.0], [1.0, 1.0, 1.0]]).view(1, 1, 2, 3)
    numbers = torch.tensor([[5, 7, 5], [7, 7, 7]]).view(1, 1, 2, 3)  # 5: 5, and 7: 5 as well
    found = top_numbers([(values + 0.1 * (numbers == 7), numbers)], 1)
    everywhere = torch.tensor([4, 5, 6, 7, 8]).view(1, 1, 1, 5)
    assert found.holds(everywhere).flatten().tolist() == [False, False, False, True, False]
    all_of_them = top_numbers([(values, numbers)], 99).holds(everywhere)
    assert all_of_them.flatten().tolist() == [False, True, False, True, False]


@pytest.mark.parametrize(("kind", "wanted"), [("mean", 2.0), ("sum", 4.0), ("max", 3.0), ("min", 1.0)])
def test_a_pool_where_a_condition_holds(kind: str, wanted: float) -> None:
    values = torch.tensor([1.0, 9.0, 3.0]).view(1, 1, 3, 1)
    holds = torch.tensor([True, False, True]).view(1, 1, 3, 1)
    assert pooled_where(values, holds, kind).item() == wanted


@pytest.mark.parametrize(
    ("kind", "wanted"), [("mean", 0), ("sum", 0), ("max", -torch.inf), ("min", torch.inf)]
)
def test_a_pool_of_nothing(kind: str, wanted: float) -> None:
    nothing = torch.zeros(1, 1, 3, 1, dtype=torch.bool)
    assert pooled_where(torch.ones(1, 1, 3, 1), nothing, kind).item() == wanted


@pytest.mark.parametrize(
    ("kind", "wanted"), [("mean", [2, 9, 2]), ("sum", [4, 9, 4]), ("max", [3, 9, 3]), ("min", [1, 9, 1])]
)
def test_a_pool_of_those_with_the_same_number(kind: str, wanted: list[float]) -> None:
    values = torch.tensor([1.0, 9.0, 3.0]).view(1, 1, 3, 1)
    numbers = torch.tensor([10**12, -4, 10**12]).view(1, 1, 3, 1)
    assert pooled_alike(values, numbers, kind).flatten().tolist() == wanted
