"""Plans through Triton kernels: results in the interpreter, and kernels for a GPU that is not there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import attndsl
from attndsl.codegen.triton_targets import TARGETS
from attndsl.ir.bound import BoundIR, pairs_only
from attndsl.ir.plan import Plan
from attndsl.runtime.routed import regime_of
from attndsl.runtime.routed_triton_kernels import kernels_of_route
from attndsl.runtime.triton_resources import matrix_instruction
from attndsl.runtime.triton_target import cross_compile, resources_of
from tests.runtime.attention_cases import tensors
from tests.runtime.routed_cases import assert_like_dense, random_plan
from tests.runtime.triton_worker import interpreted, needs_triton

pytestmark = needs_triton

CAUSAL = {"heads": 2, "kv_heads": 1, "shape": 70}


def check(
    name: str, numbers: dict[str, Any], units: tuple[int, int], lists: int, batch: int = 1, kept: int = 3,
    tables: str = "",
) -> str:  # fmt: skip
    """Compares with dense attention, forward and backward; runs in the process that interprets.

    tables: the sides, q and k, whose units are tokens from anywhere.
    """
    ir = pairs_only(attndsl.pattern(name).bind(**numbers).ir)
    sizes = ir.query_space.size, ir.key_space.size
    q_units, kv_units = (
        _scattered(size, block) if side in tables else None
        for side, size, block in zip("qk", sizes, units, strict=True)
    )
    plan = random_plan(ir, *units, kept, heads=lists, q_units=q_units, kv_units=kv_units)
    given = tensors(ir, batch)
    assert_like_dense(ir, plan, given, tolerance=1e-4)
    return regime_of(ir, plan, given[0], given[2])


def _scattered(tokens: int, block: int) -> np.ndarray:
    """A table of units of tokens from anywhere, the last of which is short."""
    order = np.random.default_rng(0).permutation(tokens).astype(np.int32)
    return np.pad(order, (0, -tokens % block), constant_values=-1).reshape(-1, block)


@pytest.mark.parametrize(("units", "lists"), [((1, 32), 2), ((32, 32), 1)])
def test_random_plans(units: tuple[int, int], lists: int) -> None:
    """Some lists are empty, the last unit is short, and both heads share keys."""
    assert interpreted(check, "causal", CAUSAL, units, lists) == "triton"


def test_units_that_fill_no_tile_under_a_mask_of_two_axes() -> None:
    numbers = {"heads": 2, "shape": (6, 10), "window": (5, 7)}
    assert interpreted(check, "gna", numbers, (1, 24), 1) == "triton"


def test_units_of_tokens_from_anywhere_and_a_batch_that_shares_lists() -> None:
    assert interpreted(check, "causal", CAUSAL, (32, 32), 2, 2, 3, "qk") == "triton"


@pytest.mark.slow
@pytest.mark.parametrize("tables", ["", "qk"])
@pytest.mark.parametrize(("heads", "kv_heads", "lists"), [(4, 2, 1), (4, 2, 2), (4, 2, 4), (4, 1, 2)])
@pytest.mark.parametrize("units", [(1, 16), (3, 20), (16, 200), (64, 32)])
def test_heads_share_lists_or_keys_or_both(
    units: tuple[int, int], heads: int, kv_heads: int, lists: int, tables: str
) -> None:
    numbers = {"heads": heads, "kv_heads": kv_heads, "shape": 77, "left": 40, "right": 5}
    assert interpreted(check, "sliding_window", numbers, units, lists, 2, 3, tables) == "triton"


@pytest.mark.slow
@pytest.mark.parametrize("units", [(1, 32), (32, 32)])
def test_plans_that_keep_nothing(units: tuple[int, int]) -> None:
    assert interpreted(check, "causal", CAUSAL, units, 1, 1, 0) == "triton"


@pytest.mark.slow
def test_rows_are_kept_for_some_lists_at_a_time() -> None:
    assert interpreted(_check_in_chunks) == "triton"


def _check_in_chunks() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attndsl.runtime.routed_triton.MOST_BYTES", 1)
        return check("causal", {**CAUSAL, "kv_heads": 2}, (1, 32), 2, batch=2)


def plan_without_data(ir: BoundIR, units: tuple[int, int], lists: int, most: int) -> Plan:
    """A plan on the meta device."""
    rows = -(-ir.query_space.size // units[0])
    indices = torch.empty(2, lists, rows, most, dtype=torch.int32, device="meta")
    return Plan(ir.query_space.size, ir.key_space.size, *units, indices, indices[..., 0])


@pytest.mark.parametrize(("units", "lists"), [((1, 32), 4), ((1, 32), 2), ((32, 20), 1)])
def test_the_host_never_waits_for_the_device(
    units: tuple[int, int], lists: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is computed around kernels works on tensors without data, which nobody can look at."""
    from attndsl.runtime import triton_merge
    from attndsl.runtime.kernels import Saved, Wanted
    from attndsl.runtime.routed_triton import TritonPlanKernels
    from attndsl.runtime.triton_launch import LoadedKernel

    launched: list[str] = []
    monkeypatch.setattr("attndsl.runtime.routed_triton.current_target", lambda: TARGETS["sm90"])
    monkeypatch.setattr(LoadedKernel, "launch", lambda self, call: launched.append(self.kernel.program.name))
    monkeypatch.setattr(triton_merge, "join", lambda *given: launched.append("join"))
    ir = pairs_only(attndsl.pattern("document").bind(shape=100, heads=4, kv_heads=2).ir)
    inputs = {"doc": torch.empty(2, 100, dtype=torch.int64, device="meta")}
    q, k, v = (each.to("meta") for each in tensors(ir, batch=2))
    plan = plan_without_data(ir, units, lists, 2)
    kernels = TritonPlanKernels(ir, plan, 16, 16, q.dtype, q.device)
    out, lse = kernels.forward(1.0, inputs, q, k, v)
    found = kernels.backward(1.0, inputs, Saved(q, k, v, out, lse), out, lse, Wanted(True, True))
    assert [each.shape for each in (out, *found)] == [q.shape, q.shape, k.shape, v.shape]
    joins = ["join"] if units[0] == 1 else []
    assert launched == ["forward", *joins, "dq", *joins, "dk_dv"]


@pytest.mark.parametrize("direction", ["forward", "dk_dv"])
def test_kernels_compile_for_a_gpu(direction: Any) -> None:
    """Queries are gathered by the key units that they attend to."""
    ir = attndsl.pattern("moba").bind(shape=1024, block=256).ir
    kernel = kernels_of_route(ir, TARGETS["sm90"], 1, 64, "bfloat16")[direction]
    compiled = cross_compile(kernel, TARGETS["sm90"])
    assert matrix_instruction(compiled) == "wgmma"
    assert resources_of(compiled, TARGETS["sm90"]).spills == 0
