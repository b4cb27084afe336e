"""Kernels give the same bits every time: no program reads what another one is writing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import attndsl
from tests.gpu.device import DEVICE, on_gpu

pytestmark = on_gpu

RUNS = 20
PROBLEMS: dict[str, dict[str, Any]] = {
    "gna": {"shape": (16, 24, 24), "heads": 8, "window": (5, 7, 9)},
    "causal": {"shape": 3001, "heads": 8, "kv_heads": 2},
    "sliding_window": {"shape": 5000, "heads": 8, "left": 511, "right": 77},
    "moa": {"shape": 4096, "heads": 4, "alpha": [0, 64, -128, 0], "beta": [0.25, 0.5, 1.0, 0.0]},
    "document": {"shape": 3000, "heads": 8},
    "radial": {"shape": (7, 384), "text": 100, "heads": 4},
}


def results(name: str, leaves: list[Tensor], seed: Tensor) -> tuple[Tensor, ...]:
    """Output, log-sum-exp and gradients."""
    bound = attndsl.pattern(name).bind(**PROBLEMS[name])
    inputs = {each.name: torch.arange(leaves[0].shape[2], device=DEVICE) // 401 for each in bound.ir.inputs}
    out, lse = bound(*leaves, return_lse=True, **inputs)  # type: ignore[arg-type,misc]
    return (out, lse, *torch.autograd.grad(out, leaves, seed))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("dim", [64, 128])
@pytest.mark.parametrize("name", PROBLEMS)
def test_repeated_runs_are_equal_to_the_bit(name: str, dim: int, dtype: torch.dtype) -> None:
    ir = attndsl.pattern(name).bind(**PROBLEMS[name]).ir
    shapes = [(2, heads, ir.query_space.size, dim) for heads in (ir.heads, ir.kv_heads, ir.kv_heads)]
    leaves = [torch.randn(shape, device=DEVICE, dtype=dtype).requires_grad_() for shape in shapes]
    seed = torch.randn_like(leaves[0])
    first = results(name, leaves, seed)
    for _ in range(RUNS):
        assert all(map(torch.equal, results(name, leaves, seed), first))


def test_runs_on_several_streams_are_equal_to_the_bit() -> None:
    bound = attndsl.pattern("causal").bind(shape=2000, heads=8)
    q, k, v = (torch.randn(1, 8, 2000, 64, device=DEVICE, dtype=torch.bfloat16) for _ in range(3))
    wanted = bound(q, k, v)
    torch.cuda.synchronize()
    found = []
    for stream in [torch.cuda.Stream() for _ in range(4)]:  # type: ignore[no-untyped-call]
        with torch.cuda.stream(stream):
            found += [bound(q, k, v) for _ in range(5)]
    torch.cuda.synchronize()
    assert all(torch.equal(each, wanted) for each in found)


def test_inputs_that_change_between_calls_change_the_result() -> None:
    bound = attndsl.pattern("document").bind(shape=1000, heads=2)
    q, k, v = (torch.randn(1, 2, 1000, 64, device=DEVICE) for _ in range(3))
    for length in (100, 300, 999, 100):
        doc = torch.from_numpy(np.arange(1000) // length).to(DEVICE)
        torch.testing.assert_close(
            bound(q, k, v, doc=doc), bound.reference(q, k, v, doc=doc), rtol=0, atol=1e-4
        )
