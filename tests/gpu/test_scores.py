"""Shipped patterns with scores, weights and gates on a GPU: outputs, and gradients of everything."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import attndsl
from tests.gpu.device import DEVICE, on_gpu
from tests.patterns.examples import examples
from tests.patterns.inputs import random_inputs
from tests.patterns.names import WEIGHTED

pytestmark = on_gpu

LARGEST, HEADS = 1024, 16
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 4e-2}
"""Of differences from float64, relative to the largest value."""

SETTINGS = [
    (name, setting)
    for name in WEIGHTED
    for setting, numbers in examples(name).items()
    if torch.Size(numbers["shape"]).numel() <= LARGEST and numbers.get("heads", 1) <= HEADS
]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("name", "setting"), SETTINGS)
def test_outputs_and_gradients(name: str, setting: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    bound = attndsl.pattern(name).bind(**examples(name)[setting])
    ir, inputs = bound.ir, random_inputs(bound.ir, 64)
    shapes = [(2, heads, ir.query_space.size, 64) for heads in (ir.heads, ir.kv_heads, ir.kv_heads)]
    given = {**{key: torch.randn(shape) for key, shape in zip("qkv", shapes, strict=True)}, **inputs}
    on_device: dict[str, Any] = {key: _leaf(value, dtype) for key, value in given.items()}
    exact: dict[str, Any] = {key: _leaf(value, torch.float64) for key, value in on_device.items()}
    seed = torch.randn(shapes[0], device=DEVICE, dtype=dtype)
    out, wanted = bound(**on_device), bound.reference(**exact)
    _compare(out, wanted, dtype)
    differentiable = [key for key, value in on_device.items() if value.requires_grad]
    found = torch.autograd.grad(out, [on_device[key] for key in differentiable], seed)
    expected = torch.autograd.grad(wanted, [exact[key] for key in differentiable], seed.double())
    for mine, theirs in zip(found, expected, strict=True):
        _compare(mine, theirs, dtype)


def _leaf(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.to(DEVICE)
    return tensor.detach().to(DEVICE, dtype).requires_grad_()


def _compare(found: Tensor, wanted: Tensor, dtype: torch.dtype) -> None:
    error = float(((found.double() - wanted).abs().max() / wanted.abs().max()).detach())
    assert error <= TOLERANCE[dtype]
