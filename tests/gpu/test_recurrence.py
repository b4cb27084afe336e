"""Recurrences on a GPU: every decay, type and head size against float64, long texts, and no races."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

import attndsl
from attndsl.runtime.recurrence import recurrence
from attndsl.runtime.triton_device import multiprocessors
from attndsl.runtime.triton_recurrence_segments import SMALLEST
from tests.gpu.device import DEVICE, on_gpu
from tests.runtime.triton_recurrence_cases import Case, assert_close, compare

pytestmark = on_gpu

KINDS = ("none", "token", "channel")
LONG, LONGER = 2**15, 2**20


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("dim", [16, 64, 100, 128, 256])
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_states_and_gradients(kind: str, dim: int, dtype: str) -> None:
    case = Case(kind, 333, heads=(4, 2), dims=(dim, dim), batch=2, dtype=dtype, device=DEVICE)
    assert_close(case, compare(case))


@pytest.mark.parametrize("tokens", [1, 15, 16, 17, 63, 64, 65, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_any_length(kind: str, tokens: int) -> None:
    case = Case(kind, tokens, dims=(64, 129), dtype="bfloat16", device=DEVICE)
    assert_close(case, compare(case))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["token", "channel"])
def test_strong_decays_and_steps_that_forget_everything(kind: str, dtype: str) -> None:
    case = Case(kind, 300, -8.0, dims=(64, 64), dtype=dtype, device=DEVICE)
    assert_close(case, compare(case))
    case = Case(kind, 300, -1e-3, (5, 63, 64, 70), dims=(64, 64), dtype=dtype, device=DEVICE)
    assert_close(case, compare(case))


@pytest.mark.parametrize("kind", KINDS)
def test_runs_segments_and_strides(kind: str) -> None:
    usual = Case(kind, 333, dims=(64, 64), dtype="bfloat16", device=DEVICE)
    for case in (
        replace(usual, run=41),
        replace(usual, segments=True, heads=(1, 1)),
        replace(usual, heads_last=True),
    ):
        assert_close(case, compare(case))


@pytest.mark.parametrize("kind", KINDS)
def test_results_are_the_same_every_time(kind: str) -> None:
    q, k, v = (torch.randn(2, 8, 4000, 64, device=DEVICE, dtype=torch.bfloat16) for _ in range(3))
    shape = q.shape if kind == "channel" else q.shape[:3]
    decay = None if kind == "none" else -torch.rand(shape, device=DEVICE)
    leaves = [each.requires_grad_() for each in (q, k, v)]
    results = []
    for _ in range(5):
        out, _ = recurrence(q, k, v, decay, scale=0.1)
        results.append([out, *torch.autograd.grad(out, leaves, torch.ones_like(out))])
    assert all(torch.equal(a, b) for each in results[1:] for a, b in zip(results[0], each, strict=True))


@pytest.mark.parametrize(("tokens", "heads"), [(LONG, 32), (LONGER, 1), (LONGER, 17)])
def test_long_texts_are_carried_from_part_to_part(tokens: int, heads: int) -> None:
    """A text in one call equals its halves one after the other, past 2**31 elements too."""
    q, k, v = (torch.randn(1, heads, tokens, 128, device=DEVICE, dtype=torch.bfloat16) for _ in range(3))
    decay = torch.full((1, heads, 1), -0.01, device=DEVICE).expand(1, heads, tokens)
    out, state = recurrence(q, k, v, decay, scale=0.1)
    half = tokens // 2 + 5
    early = [each[:, :, :half] for each in (q, k, v, decay)]
    late = [each[:, :, half:] for each in (q, k, v, decay)]
    _, between = recurrence(*early, scale=0.1)
    second, last = recurrence(*late, scale=0.1, initial_state=between)
    for found, wanted in ((second, out[:, :, half:]), (last, state)):
        size = float(wanted.abs().max())
        for head in range(heads):  # one at a time, for the memory of a difference
            assert float((found[:, head].float() - wanted[:, head].float()).abs().max()) <= 2**-5 * size


def test_few_heads_use_the_whole_gpu() -> None:
    from attndsl.runtime.recurrence_problem import Problem
    from attndsl.runtime.triton_recurrence_segments import segments_of

    q = torch.empty(1, 1, LONGER, 64, device=DEVICE)
    state = torch.empty(1, 1, 64, 64, device=DEVICE)
    segments = segments_of(Problem(q, q, q, None, state, 1.0), blocks=1)
    assert segments.count >= multiprocessors(q.device)
    assert segments.tokens % SMALLEST == 0


@pytest.mark.parametrize("name", ["lightning", "retention", "simple_gla", "gla"])
def test_patterns_train(name: str) -> None:
    bound = attndsl.pattern(name).bind(shape=500, heads=4)
    q, k, v = (torch.randn(2, 4, 500, 64, device=DEVICE, dtype=torch.bfloat16) for _ in range(3))
    inputs: dict[str, Any] = {}
    for each in bound.ir.inputs:
        channels = (64,) if name == "gla" else ()
        inputs[each.name] = -torch.rand(2, 4, 500, *channels, device=DEVICE)
    leaves = [each.requires_grad_() for each in (q, k, v)]
    out: Any = bound(q, k, v, **inputs)
    exact = [each.detach().double().requires_grad_() for each in leaves]
    wide: dict[str, Any] = {key: each.double() for key, each in inputs.items()}
    wanted: Any = bound.reference(exact[0], exact[1], exact[2], **wide)
    seed = torch.randn_like(out)
    found = [out, *torch.autograd.grad(out, leaves, seed)]
    true = [wanted, *torch.autograd.grad(wanted, exact, seed.double())]
    for mine, theirs in zip(found, true, strict=True):
        assert float((mine.double() - theirs).abs().max()) <= 2**-5 * float(theirs.abs().max())


def test_graphs_capture_a_call() -> None:
    q, k, v = (torch.randn(1, 4, 777, 64, device=DEVICE, dtype=torch.bfloat16) for _ in range(3))
    decay = -torch.rand(1, 4, 777, device=DEVICE)
    wanted, _ = recurrence(q, k, v, decay, scale=0.1)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out, _ = recurrence(q, k, v, decay, scale=0.1)
    out.zero_()
    graph.replay()
    torch.testing.assert_close(out, wanted, rtol=0, atol=0)
