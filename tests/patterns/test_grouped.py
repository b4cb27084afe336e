"""The Routing Transformer equals its formula: first the members of clusters, then outputs and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import attndsl
from tests.patterns.examples import examples
from tests.patterns.grouped import Members, mean_over_groups, routing_transformer
from tests.patterns.names import GROUPED

SETTINGS: dict[str, dict[str, Any]] = {
    "small": examples("routing_transformer")["small"],
    "one token per cluster": {"shape": 20, "heads": 2, "clusters": 6, "window": 1},
    "all tokens": {"shape": 13, "heads": 2, "clusters": 3, "window": 13},
    "more tokens than there are": {"shape": 13, "heads": 2, "clusters": 3, "window": 400},
    "one cluster": {"shape": 30, "heads": 2, "kv_heads": 1, "clusters": 1, "window": 17},
    "more clusters than tokens": {"shape": 5, "heads": 2, "clusters": 9, "window": 2},
    "none": {"shape": 12, "heads": 2, "clusters": 3, "window": 0},
    "one token": {"shape": 1, "heads": 3, "clusters": 4, "window": 2},
}


class Call:
    """The bound pattern, tensors for it, and who the formula says is in which cluster."""

    def __init__(self, setting: dict[str, Any], dtype: torch.dtype, size: float = 1.0) -> None:
        torch.manual_seed(len(str(setting)))
        self.bound = attndsl.pattern("routing_transformer").bind(**setting)
        ir = self.bound.ir
        n, heads = ir.query_space.size, (ir.heads, ir.kv_heads, ir.kv_heads)
        self.tensors = [(size * torch.randn(2, each, n, 16, dtype=dtype)).requires_grad_() for each in heads]
        self.centroids = torch.randn(ir.heads, setting["clusters"], 16, dtype=dtype)
        q, k, v = (each.double() for each in self.tensors)
        group = ir.heads // ir.kv_heads
        self.wide = q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        self.members = routing_transformer(*self.wide[:2], self.centroids, setting["window"])

    def run(self, function: Callable[..., Any]) -> Tensor:
        found: Tensor = function(*self.tensors, centroids=self.centroids)
        return found

    def wanted(self) -> Tensor:
        n = self.wide[0].shape[2]
        return mean_over_groups(*self.wide, self.members, np.tril(np.ones((n, n), dtype=bool)))


def test_every_pattern_of_groups_has_a_formula() -> None:
    assert GROUPED == ["routing_transformer"]


@pytest.mark.parametrize("name", SETTINGS)
def test_clusters_have_the_most_similar_queries_and_keys(name: str) -> None:
    call = Call(SETTINGS[name], torch.float64)
    q, k, _ = call.tensors
    plans = call.bound.plan(q, k, centroids=call.centroids)
    assert sorted(plans) == ["keys", "queries"]
    assert np.array_equal(plans["queries"].to_mask(), call.members.queries)
    assert np.array_equal(plans["keys"].to_mask(), call.members.keys)


def test_some_queries_are_in_several_clusters_and_some_in_none() -> None:
    members: Members = Call(SETTINGS["small"], torch.float64).members
    times = members.queries.sum(2)
    assert times.max() > 1
    assert times.min() == 0


@pytest.mark.parametrize("name", SETTINGS)
def test_outputs_and_gradients_in_double_precision(name: str) -> None:
    check(Call(SETTINGS[name], torch.float64), 1e-11)


def test_outputs_and_gradients_of_kernels() -> None:
    check(Call(SETTINGS["small"], torch.float32), 4e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "small"])
def test_outputs_and_gradients_of_kernels_at_the_edges(name: str) -> None:
    check(Call(SETTINGS[name], torch.float32), 4e-5)


def test_huge_logits() -> None:
    call = Call(SETTINGS["small"], torch.float32, size=300.0)
    found = call.run(call.bound)
    torch.testing.assert_close(found.double(), call.wanted(), atol=0.3, rtol=1e-3)


def test_the_reference_equals_the_formula() -> None:
    call = Call(SETTINGS["small"], torch.float64)
    found = call.run(call.bound.reference)
    torch.testing.assert_close(found, call.wanted(), atol=1e-11, rtol=1e-11)


def check(call: Call, tolerance: float) -> None:
    out, wanted = call.run(call.bound), call.wanted()
    assert out.dtype == call.tensors[0].dtype
    torch.testing.assert_close(out.double(), wanted, atol=tolerance, rtol=tolerance)
    seed = torch.randn_like(out)
    found = torch.autograd.grad(out, call.tensors, seed, allow_unused=True)
    expected = torch.autograd.grad(wanted, call.tensors, seed.double(), allow_unused=True)
    for mine, theirs, like in zip(found, expected, call.tensors, strict=True):
        mine, theirs = (torch.zeros_like(like) if each is None else each for each in (mine, theirs))
        torch.testing.assert_close(mine.double(), theirs.double(), atol=tolerance, rtol=tolerance)
