"""Plans through Triton kernels: results in the interpreter, and kernels for a GPU that is not there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import attndsl
from attndsl.codegen.triton_targets import TARGETS
from attndsl.ir.plan import Plan
from attndsl.runtime.routed import regime_of
from attndsl.runtime.routed_triton import configurations, printed_kernel
from attndsl.runtime.triton_resources import matrix_instruction
from attndsl.runtime.triton_target import cross_compile, resources_of
from tests.runtime.attention_cases import tensors
from tests.runtime.routed_cases import assert_like_dense, random_plan
from tests.runtime.triton_worker import interpreted, needs_triton

pytestmark = needs_triton


def check(name: str, numbers: dict[str, Any], units: tuple[int, int], lists: int) -> str:
    """Compares with dense attention, forward and backward; runs in the process that interprets."""
    ir = attndsl.pattern(name).bind(heads=2, **numbers).ir
    plan, given = random_plan(ir, *units, 3, heads=lists), tensors(ir)
    regime = regime_of(ir, plan, given[0], given[2])
    assert_like_dense(ir, plan, given, tolerance=1e-4)
    return regime


@pytest.mark.parametrize(("units", "lists"), [((1, 32), 2), ((32, 32), 1)])
def test_random_plans(units: tuple[int, int], lists: int) -> None:
    """The last unit is short, and both heads share keys."""
    assert interpreted(check, "causal", {"shape": 70, "kv_heads": 1}, units, lists) == "triton"


def test_units_that_fill_no_tile_under_a_mask_of_two_axes() -> None:
    assert interpreted(check, "gna", {"shape": (6, 10), "window": (5, 7)}, (1, 24), 1) == "triton"


@pytest.mark.parametrize("direction", ["forward", "dk_dv"])
def test_kernels_compile_for_a_gpu(direction: Any) -> None:
    ir = attndsl.pattern("causal").bind(shape=1024).ir
    lists = np.zeros((1, 1, 1024, 1), dtype=np.int32)
    plan = Plan(1024, 1024, 1, 256, lists, np.ones((1, 1, 1024), dtype=np.int32))
    chosen = configurations(TARGETS["sm90"], plan, 64, 64, "bfloat16")[direction]
    kernel, _ = printed_kernel(ir, direction, chosen, 2048, 1024, 64, 64, "bfloat16")
    compiled = cross_compile(kernel, TARGETS["sm90"])
    assert matrix_instruction(compiled) == "wgmma"
    assert resources_of(compiled, TARGETS["sm90"]).spills == 0


def test_lists_of_a_plan_are_those_of_its_tiles() -> None:
    """A causal mask drops what lies after a query, and leaves FULL what lies before its unit."""
    from attndsl.runtime.routed_layout import Layout
    from attndsl.runtime.routed_mask import StaticMask

    ir = attndsl.pattern("causal").bind(shape=128).ir
    everything = np.broadcast_to(np.arange(4, dtype=np.int32), (1, 1, 4, 4)).copy()
    plan = Plan(128, 128, 32, 32, everything, np.full((1, 1, 4), 4, dtype=np.int32))
    row, column, residual = Layout(StaticMask(ir), plan, (32, 32), by_query=False).visits(0, 32, 32)
    assert torch.tensor(np.stack([row, column, residual], 1)).tolist() == [
        [query, key, int(query == key)] for query in range(4) for key in range(query + 1)
    ]
