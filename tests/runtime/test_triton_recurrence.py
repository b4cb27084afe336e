"""Triton kernels of recurrences in the interpreter: every decay, length, layout and type against float64."""

from __future__ import annotations

import pytest
import torch

import attndsl
from attndsl.codegen.triton_recurrence_configuration import recurrence_default
from attndsl.codegen.triton_targets import TARGETS
from attndsl.runtime import triton_recurrence_segments
from attndsl.runtime.recurrence import recurrence
from attndsl.runtime.recurrence_problem import Problem
from attndsl.runtime.triton_recurrence import has_triton_kernels
from tests.runtime.triton_recurrence_cases import SMALLEST_SEGMENT, Case, assert_close, compare
from tests.runtime.triton_worker import interpreted, needs_triton

pytestmark = needs_triton

CHUNK = recurrence_default(TARGETS["sm90"], "recurrence_forward", "token", 16, 16, "float32").chunk

CASES = {
    **{f"one token, {kind}": Case(kind, 1) for kind in ("none", "token", "channel")},
    **{f"three chunks, {kind}": Case(kind, 2 * CHUNK + 7) for kind in ("none", "token", "channel")},
    "a chunk but one": Case("token", CHUNK - 1),
    "a chunk": Case("token", CHUNK),
    "a chunk and one": Case("token", CHUNK + 1),
    **{f"strong decay, {kind}": Case(kind, CHUNK + 9, -8.0) for kind in ("token", "channel")},
    **{
        f"steps that forget everything, {kind}": Case(
            kind, 2 * CHUNK, -1e-3, (5, CHUNK - 1, CHUNK, CHUNK + 3)
        )
        for kind in ("token", "channel")
    },
    **{f"runs, {kind}": Case(kind, CHUNK + 9, run=11) for kind in ("none", "channel")},
    "grouped heads and odd channels": Case("token", CHUNK + 3, heads=(4, 2), dims=(11, 29), batch=2),
    "grouped heads and odd channels that decay": Case("channel", 9, heads=(2, 1), dims=(11, 29)),
    "blocks of value channels": Case("token", CHUNK + 3, heads=(1, 1), dims=(16, 150)),
    "heads last and steps per head": Case("token", CHUNK + 3, batch=2, heads_last=True),
    **{  # three of 128 tokens, the last one short
        f"segments, {kind}": Case(kind, 4 * SMALLEST_SEGMENT + 44, heads=(1, 1), segments=True)
        for kind in ("none", "token", "channel")
    },
    "segments that forget everything": Case(
        "token", 4 * SMALLEST_SEGMENT + 44, -1e-3, (70, 75, 127, 128, 200), heads=(1, 1), segments=True
    ),
    **{f"bfloat16, {kind}": Case(kind, CHUNK + 9, dtype="bfloat16") for kind in ("none", "token", "channel")},
    "float16": Case("token", CHUNK + 9, dtype="float16"),
}


@pytest.mark.parametrize("name", CASES)
def test_outputs_states_and_gradients(name: str) -> None:
    assert_close(CASES[name], interpreted(compare, CASES[name]))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("dim", [64, 128])
@pytest.mark.parametrize("kind", ["none", "token", "channel"])
def test_usual_head_sizes(kind: str, dim: int, dtype: str) -> None:
    case = Case(kind, 133, heads=(2, 1), dims=(dim, dim), dtype=dtype)
    assert_close(case, interpreted(compare, case))


def error_of_steps(most_tokens: int) -> float:
    """Of the gradients of steps in bfloat16, relative. most_tokens: of a segment."""
    triton_recurrence_segments.ANCHORED, before = most_tokens, triton_recurrence_segments.ANCHORED
    q, k, v, towards = (torch.randn(1, 1, 512, 32).bfloat16() for _ in range(4))
    steps = (-0.2 * torch.rand(1, 1, 512)).requires_grad_()
    exact = steps.detach().double().requires_grad_()
    (found,) = torch.autograd.grad(recurrence(q, k, v, steps, scale=0.2)[0], steps, towards)
    out, _ = recurrence(q.double(), k.double(), v.double(), exact, scale=0.2)
    (wanted,) = torch.autograd.grad(out, exact, towards.double())
    triton_recurrence_segments.ANCHORED = before
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.slow
def test_rounding_adds_up_within_segments_only() -> None:
    whole, divided = (interpreted(error_of_steps, tokens) for tokens in (1024, 64))
    assert divided < 0.7 * whole
    assert divided < 0.01


def kernels_for(dtype: torch.dtype, channels: int) -> bool:
    tensors = [torch.zeros(1, 1, 2, channels, dtype=dtype) for _ in range(3)]
    return has_triton_kernels(*tensors)


def test_which_tensors_have_kernels() -> None:
    assert interpreted(kernels_for, torch.bfloat16, 256)
    assert not interpreted(kernels_for, torch.bfloat16, 257)
    assert not interpreted(kernels_for, torch.float64, 16)
    assert not has_triton_kernels(*[torch.zeros(1, 1, 2, 16)] * 3)


def empty_call() -> list[tuple[int, ...]]:
    q, k, v = (torch.zeros(0, 2, 5, 16) for _ in range(3))
    return [tuple(each.shape) for each in recurrence(q, k, v, scale=1.0)]


def test_an_empty_batch() -> None:
    assert interpreted(empty_call) == [(0, 2, 5, 16), (0, 2, 16, 16)]


@pytest.mark.parametrize(
    ("tokens", "multiprocessors", "count", "size"),
    [
        (100, 132, 1, 1024),
        (2**15, 132, 32, 1024),
        (2**15, 12, 3, 11264),
        (5000, 132, 4, 2048),
        (2**15, 1, 1, 2**15),
    ],
)
def test_few_heads_are_divided_into_segments(
    tokens: int, multiprocessors: int, count: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight programs, and as many segments as it takes to have two programs for each multiprocessor."""
    monkeypatch.setattr(triton_recurrence_segments, "multiprocessors", lambda device: multiprocessors)
    q = torch.empty(1, 4, tokens, 16, device="meta")
    problem = Problem(q, q, q, None, torch.empty(1, 4, 16, 16, device="meta"), 1.0)
    found = triton_recurrence_segments.segments_of(problem, blocks=2)
    assert (found.count, found.tokens) == (min(count, -(-tokens // size)), size)


def call_lightning() -> float:
    bound = attndsl.pattern("lightning").bind(shape=70, heads=2)
    q, k, v = (torch.randn(1, 2, 70, 16) for _ in range(3))
    return float((bound(q, k, v) - bound.reference(q, k, v)).abs().max())


def test_patterns_call_the_kernels() -> None:
    assert interpreted(call_lightning) < 1e-4
