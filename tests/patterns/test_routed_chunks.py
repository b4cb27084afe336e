"""Chunks of unequal length that the data cut: where a budget ends inside of one, any of its keys will do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import attndsl
from attndsl.ir.plan import Plan
from tests.patterns.routed_more import chunks, worth_of_keys

N = 75
SETTINGS: dict[str, dict[str, Any]] = {
    "budget inside of chunks": {"query_block": 16, "budget": 20, "local": 5},
    "last keys only": {"query_block": 16, "budget": 7, "local": 7},
    "one key": {"query_block": 1, "budget": 1, "local": 0},
    "more than there are": {"query_block": 32, "budget": 99, "local": 64},
}


@pytest.mark.parametrize("case", SETTINGS)
@pytest.mark.parametrize("batched", [False, True])
def test_the_plan_holds_the_last_keys_and_the_best_of_the_others(case: str, batched: bool) -> None:
    torch.manual_seed(1)
    setting = SETTINGS[case]
    q, k = (torch.randn(2, heads, N, 8, dtype=torch.float64) for heads in (4, 2))
    inputs: dict[str, Any] = {"chunk": torch.randint(0, 25, (2, N) if batched else (N,)).sort(-1).values}
    plan: Plan = attndsl.pattern("dhsa").bind(shape=N, heads=4, kv_heads=2, **setting).plan(q, k, **inputs)
    assert plan.heads == 1
    size, local = setting["query_block"], setting["local"]
    for b in range(2):
        for a in range(plan.query_units):
            block, end = np.arange(a * size, min((a + 1) * size, N)), min((a + 1) * size, N)
            worth = worth_of_keys(q[b].numpy(), k[b].numpy(), block, chunks(inputs, b))[:end]
            worth[max(end - local, 0) :] = np.inf
            listed = np.asarray(plan.indices[b, 0, a][: int(plan.counts[b, 0, a])])
            assert listed.max(initial=0) < end
            assert len(listed) == min(setting["budget"], end)
            np.testing.assert_allclose(np.sort(worth[listed]), np.sort(worth)[end - len(listed) :], rtol=1e-9)


def test_chunks_need_not_be_runs() -> None:
    """Groups are tokens of equal numbers, whatever these are and wherever the tokens lie."""
    bound = attndsl.parse("""
pattern p:
    space tokens(n)
    input kind: int[key]
    route score q . mean(k in kind[k])
          select top(2) per query
    attend true
""").bind(shape=6, heads=1)
    k = torch.tensor([1.0, 0.0, 2.0, 0.5, 0.0, 0.0]).view(1, 1, 6, 1)
    inputs: dict[str, Any] = {"kind": torch.tensor([7, -3, 7, -3, 1_000_000_000, -3])}
    plan = bound.plan(torch.ones(1, 1, 6, 1), k, **inputs)
    assert plan.indices[0, 0, 0].tolist() == [0, 2]
