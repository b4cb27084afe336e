"""Triton kernels of scores and weights in the interpreter, forward and backward, beside float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
import torch

from attndsl.codegen.triton_configuration import Configuration
from attndsl.codegen.triton_targets import TARGETS
from attndsl.ir.bound import BoundIR
from attndsl.runtime.checks import check_kernel_inputs
from attndsl.runtime.kernels import Saved, Wanted
from attndsl.runtime.reference import reference
from attndsl.runtime.reference_gradients import reference_gradients
from attndsl.runtime.triton_kernels import TritonKernels
from attndsl.runtime.triton_problem import Problem
from attndsl.schedule.build import build
from tests.codegen.weightings import CLAUSES, bound, inputs_of, two_segments
from tests.runtime.triton_cases import DIRECTIONS
from tests.runtime.triton_worker import interpreted, needs_triton

pytestmark = needs_triton

SPLIT = Configuration(64, 64, 4, 2)
SCALE, DIM = 0.25, 16


def differences(
    ir: BoundIR, tiles: tuple[tuple[int, ...], tuple[int, ...]], configuration: Configuration
) -> list[float]:
    """Of the output and the gradients of q, k and v, relative to their size."""
    torch.manual_seed(0)
    heads = (ir.heads, ir.kv_heads, ir.kv_heads)
    q, k, v = (torch.randn(2, each, ir.query_space.size, DIM) for each in heads)
    inputs: dict[str, Any] = dict(inputs_of(ir))
    problem = Problem(ir, DIM, DIM, torch.float32, TARGETS["sm90"], build(ir, *tiles))
    kernels = TritonKernels(problem, dict.fromkeys(DIRECTIONS, configuration))
    read = check_kernel_inputs(ir, inputs, 2)
    out, lse = kernels.forward(SCALE, read, q, k, v)
    given = torch.randn_like(out), torch.zeros_like(lse)
    found = kernels.backward(SCALE, read, Saved(q, k, v, out, lse), *given, Wanted(q=True, kv=True))
    wanted = reference(ir, q.double(), k.double(), v.double(), scale=SCALE, **inputs)
    gradients = reference_gradients(ir, q, k, v, SCALE, inputs, *given)
    pairs = zip((out, *found), (wanted, *gradients), strict=True)
    return [float((mine - other).abs().max() / other.abs().max().clamp(min=1.0)) for mine, other in pairs]


@pytest.mark.parametrize("name", ["distance", "cap", "biases of both sides", "sigmoid", "choice"])
def test_kernels_equal_the_denotation(name: str) -> None:
    assert max(interpreted(differences, bound(name), ((16,), (16,)), SPLIT)) < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAUSES)
def test_all_kernels_equal_the_denotation(name: str) -> None:
    assert max(interpreted(differences, bound(name), ((8,), (16,)), SPLIT)) < 2e-5


@pytest.mark.parametrize("loops", [pytest.param("split", marks=pytest.mark.slow), "merged"])
def test_scores_count_positions_across_segments(loops: Literal["split", "merged"]) -> None:
    configuration = replace(SPLIT, loops=loops)
    assert max(interpreted(differences, two_segments(), ((4, 4), (2, 8)), configuration)) < 2e-5
