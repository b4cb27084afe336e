"""Under autocast a call is that on tensors which were lowered by hand: nothing inside is lowered further."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import attndsl
from attndsl.ir.bound import is_routed
from attndsl.pipeline import Bound
from attndsl.runtime.autocast import under_autocast
from tests.patterns.examples import examples
from tests.patterns.inputs import random_inputs

DIM = 16
OVER_CHANNELS = {"channel_attention"}
"""Their tokens are channels: sizes of tensors are other ones."""

SMALL = {name: examples(name)["small"] for name in attndsl.patterns() if name not in OVER_CHANNELS}
OF_TORCH = ("linear", "agent", "flowformer")
"""Patterns without kernels of pairs, or with shapes whose kernels other tests compile."""


def problem(name: str) -> tuple[Bound, list[Tensor], dict[str, Any]]:
    """A small example with random tensors and inputs."""
    torch.manual_seed(0)
    bound = attndsl.pattern(name).bind(**{"heads": 2, **SMALL[name]})
    ir = bound.ir
    sizes = (ir.heads, ir.query_space.size), *[(ir.kv_heads, ir.key_space.size)] * 2
    return bound, [torch.randn(1, *size, DIM) for size in sizes], random_inputs(ir, DIM)


def is_planned(name: str) -> bool:
    return is_routed(attndsl.pattern(name).bind(**{"heads": 2, **SMALL[name]}).ir)


def assert_lowered_once(name: str) -> None:
    bound, tensors, inputs = problem(name)
    q, k, v = tensors
    wanted = bound(q.bfloat16(), k.bfloat16(), v.bfloat16(), **inputs)
    with torch.autocast("cpu", torch.bfloat16):
        found = bound(q, k, v, **inputs)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("name", [name for name in SMALL if is_planned(name)])
def test_routes_score_as_widely_as_without(name: str) -> None:
    bound, (q, k, v), inputs = problem(name)
    wanted = bound.plan(q.bfloat16(), k.bfloat16(), v.bfloat16(), **inputs)
    with torch.autocast("cpu", torch.bfloat16):
        found = bound.plan(q, k, v, **inputs)
    pairs = (
        zip(found.values(), wanted.values(), strict=True) if isinstance(found, dict) else [(found, wanted)]
    )
    assert all(torch.equal(one.indices, other.indices) for one, other in pairs)


@pytest.mark.parametrize("name", OF_TORCH)
def test_sums_and_products_are_as_wide(name: str) -> None:
    assert_lowered_once(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SMALL.keys() - set(OF_TORCH)))
def test_so_is_every_pattern_of_the_library(name: str) -> None:
    assert_lowered_once(name)


def test_states_and_steps_are_as_wide() -> None:
    bound = attndsl.pattern("lightning").bind(shape=8, heads=2)
    q, k, v = (torch.randn(1, 2, 1, DIM) for _ in range(3))
    wanted, state = bound.step(q.bfloat16(), k.bfloat16(), v.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        found, carried = bound.step(q, k, v)
    assert torch.equal(found, wanted)
    assert torch.equal(carried, state)
    assert carried.dtype == torch.float32


def test_what_is_no_tensor_is_left_to_be_refused() -> None:
    q = torch.zeros(1)
    with torch.autocast("cpu", torch.bfloat16):
        assert under_autocast(q, "k", None) == (q, "k", None)
        lowered, none = under_autocast(q, None)
    assert lowered.dtype == torch.bfloat16
    assert none is None
