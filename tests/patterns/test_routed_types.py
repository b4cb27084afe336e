"""Selections are computed in float32 for all types: plans of 16-bit numbers are those of the same in 64."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import attndsl
from attndsl.ir.plan import Plan
from tests.patterns.examples import examples
from tests.patterns.inputs import random_inputs
from tests.patterns.names import ROUTED


def plans_of(found: Any) -> dict[str, Plan]:
    return found if isinstance(found, dict) else {"": found}


@pytest.mark.parametrize("name", ROUTED)
def test_plans_of_16_bits_are_those_of_the_same_numbers_in_64(name: str) -> None:
    torch.manual_seed(0)
    bound = attndsl.pattern(name).bind(**examples(name)["small"])
    ir = bound.ir
    heads = ir.heads, ir.kv_heads, ir.kv_heads
    narrow = [torch.randn(2, each, ir.query_space.size, 16).bfloat16() for each in heads]
    inputs: dict[str, Any] = random_inputs(ir, 16)
    q, k, v = narrow
    found = plans_of(bound.plan(q, k, v, **inputs))
    wanted = plans_of(bound.plan(q.double(), k.double(), v.double(), **inputs))
    assert sorted(found) == sorted(wanted)
    for branch, plan in found.items():
        assert torch.equal(plan.indices, wanted[branch].indices)
        assert torch.equal(plan.counts, wanted[branch].counts)
