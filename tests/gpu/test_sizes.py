"""Large sizes on a GPU, up to a million tokens and past 2**31 elements, checked on sampled rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import attndsl
from attndsl.ir.evaluate import mask_rows
from attndsl.pipeline import Bound
from tests.gpu.device import DEVICE, on_gpu
from tests.patterns.examples import examples

pytestmark = on_gpu

SAMPLES = 12
TOLERANCE = 2.0**-6
"""Of bfloat16 results, relative to the row's largest value."""

MILLION = 2**20


def visible_keys(bound: Bound, head: int, row: int, inputs: dict[str, NDArray[Any]]) -> Tensor:
    """Numbers of the keys that a query sees."""
    return torch.from_numpy(np.flatnonzero(mask_rows(bound.ir, head, row, row + 1, inputs)[0])).to(DEVICE)


def check_rows(bound: Bound, dim: int, gradients: bool = True) -> None:
    """Output and gradient of sampled queries, by the formulas of attention in float64."""
    ir, tokens = bound.ir, bound.ir.query_space.size
    inputs = {each.name: np.arange(tokens) // 5003 for each in ir.inputs}
    given = {name: torch.from_numpy(value).to(DEVICE) for name, value in inputs.items()}
    kind = {"device": DEVICE, "dtype": torch.bfloat16}
    q = torch.randn(1, ir.heads, tokens, dim, **kind).requires_grad_(gradients)  # type: ignore[call-overload]
    k, v = (torch.randn(1, ir.kv_heads, tokens, dim, **kind) for _ in range(2))  # type: ignore[call-overload]
    out = bound(q, k, v, **given)  # type: ignore[arg-type]
    seed = torch.randn_like(out)
    found = torch.autograd.grad(out, q, seed)[0] if gradients else None
    chance = np.random.default_rng(0)
    for row in map(int, [0, tokens - 1, *chance.choice(tokens, SAMPLES)]):
        head = int(chance.integers(ir.heads))
        keys = visible_keys(bound, head, row, inputs)
        group = head // (ir.heads // ir.kv_heads)
        near_k, near_v = k[0, group, keys].double(), v[0, group, keys].double()
        weights = torch.softmax(near_k @ q[0, head, row].detach().double() * dim**-0.5, 0)
        exact = weights @ near_v
        assert_near(out[0, head, row].detach(), exact)
        if found is not None:
            product = near_v @ seed[0, head, row].double()
            gradient = (weights * (product - weights @ product)) @ near_k * dim**-0.5
            assert_near(found[0, head, row], gradient, at_least=float(near_k.abs().max()) * dim**-0.5)


def assert_near(found: Tensor, exact: Tensor, at_least: float = 0.0) -> None:
    error, size = float((found.double() - exact).abs().max()), float(exact.abs().max())
    assert error <= TOLERANCE * max(size, at_least), f"error {error:.3g} of values as large as {size:.3g}"


@pytest.mark.parametrize("heads", [1, 4])
def test_a_window_over_a_million_tokens(heads: int) -> None:
    check_rows(attndsl.pattern("sliding_window").bind(shape=MILLION, heads=heads, left=1024, right=500), 64)


def test_a_neighborhood_in_a_million_tokens_of_video() -> None:
    shape, window, stride = (64, 128, 128), (18, 24, 24), (16, 8, 8)
    check_rows(attndsl.pattern("gna").bind(shape, heads=2, window=window, stride=stride), 128)


def test_documents_of_a_million_tokens() -> None:
    check_rows(attndsl.pattern("document").bind(shape=MILLION, heads=1), 64)


def test_causal_attention_over_a_million_tokens() -> None:
    check_rows(attndsl.pattern("causal").bind(shape=MILLION, heads=1), 64, gradients=False)


def test_tensors_of_more_than_two_to_the_31_elements() -> None:
    check_rows(attndsl.pattern("sliding_window").bind(shape=MILLION, heads=17, left=60, right=3), 128)


PUBLISHED = [
    (name, example)
    for name in ("gna", "radial", "sta", "moa", "s2", "streaming", "longlora", "svg_spatial", "svg_temporal")
    for example in list(examples(name))[-1:]
]


@pytest.mark.parametrize(("name", "example"), PUBLISHED)
def test_published_settings(name: str, example: str) -> None:
    check_rows(attndsl.pattern(name).bind(**examples(name)[example]), 128)
