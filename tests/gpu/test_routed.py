"""Routes on a GPU: results beside the denotation over the same plan, and no waiting for the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import attndsl
from attndsl.ir.bound import pairs_only
from attndsl.pipeline import Bound
from attndsl.runtime.routed import routed_attention
from tests.gpu.device import DEVICE, on_gpu

pytestmark = on_gpu

Given = tuple[Tensor, Tensor, Tensor]

TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 2.0**-6}
"""Relative to the largest value of a result."""

CASES: dict[str, Callable[[], Bound]] = {
    "moba": lambda: attndsl.pattern("moba").bind(shape=1000, heads=4, kv_heads=2, block=128, topk=3),
    "moba small": lambda: attndsl.pattern("moba").bind(shape=500, heads=2, block=48, topk=4),
    "nsa": lambda: attndsl.pattern("nsa").bind(shape=900, heads=8, kv_heads=2, n_sel=5, window=100),
    "sla": lambda: attndsl.pattern("sla").bind(shape=1000, heads=4, keep=0.2, drop=0.3),
    "draft": lambda: attndsl.pattern("draft").bind(
        shape=(4, 16, 32), text=70, heads=2, pool=(8, 16), sparsity=0.5
    ),
}


def leaves(bound: Bound, dtype: torch.dtype, dim: int = 64, batch: int = 2) -> Given:
    generator = torch.Generator(DEVICE).manual_seed(0)
    ir = bound.ir
    kind = {"generator": generator, "device": DEVICE, "dtype": dtype}
    heads, tokens = (ir.heads, ir.kv_heads, ir.kv_heads), ir.query_space.size
    q, k, v = (torch.randn(batch, each, tokens, dim, **kind).requires_grad_() for each in heads)  # type: ignore[call-overload]
    return q, k, v


def inputs(bound: Bound, dim: int = 64) -> dict[str, Any]:
    ir = bound.ir
    sizes: dict[object, int] = {"query": ir.query_space.size, "heads": ir.heads, "dim": dim}
    return {each.name: torch.randn([sizes[n] for n in each.shape], device=DEVICE) for each in ir.inputs}


def trained(call: Callable[[Tensor, Tensor, Tensor], Tensor], given: Given) -> tuple[Tensor, ...]:
    out = call(*given)
    seed = torch.linspace(-1, 1, out.shape[-1], device=DEVICE).to(out.dtype)
    return (out.detach(), *torch.autograd.grad((out * seed).sum(), given))


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_results_and_gradients_are_those_of_the_denotation(name: str, dtype: torch.dtype) -> None:
    bound = CASES[name]()
    given, named = leaves(bound, dtype), inputs(bound)
    q, k, v = (each.detach() for each in given)
    plan = bound.plan(q, k, v, **named)
    found = trained(lambda q, k, v: bound(q, k, v, plan=plan, **named), given)
    wanted = trained(lambda q, k, v: bound.reference(q, k, v, plan=plan, **named), given)
    for mine, exact in zip(found, wanted, strict=True):
        assert (mine - exact).abs().max() <= TOLERANCE[dtype] * exact.abs().max()


def test_the_host_does_not_wait_for_kernels_of_plans() -> None:
    """Neither for lists of tiles, which are made on the device, nor for what joins gathered queries."""
    bound = CASES["moba"]()
    given = leaves(bound, torch.bfloat16)
    q, k, _ = (each.detach() for each in given)
    plans, ir = [bound.plan(q, k) for _ in range(2)], pairs_only(bound.ir)

    def call(plan: Any) -> tuple[Tensor, ...]:
        return trained(lambda q, k, v: routed_attention(ir, plan, q, k, v)[0], given)

    wanted = call(plans[0])
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = call(plans[1])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for mine, each in zip(found, wanted, strict=True):
        assert torch.equal(mine, each)


def test_graphs_of_cuda_make_lists_anew_when_the_plan_has_changed() -> None:
    bound = CASES["moba"]()
    q, k, v = (each.detach() for each in leaves(bound, torch.bfloat16))
    plan, ir = bound.plan(q, k), pairs_only(bound.ir)
    other = torch.randn_like(q)
    wanted = routed_attention(ir, bound.plan(other, k), other, k, v)[0]
    routed_attention(ir, plan, q, k, v)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out, _ = routed_attention(ir, plan, q, k, v)
    q.copy_(other)
    plan.indices.copy_(bound.plan(other, k).indices)
    graph.replay()
    assert torch.equal(out, wanted)
