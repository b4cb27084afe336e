"""Shipped patterns with scores, weights and gates equal their formulas: outputs, and all gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import attndsl
from tests.patterns.examples import examples
from tests.patterns.inputs import random_inputs
from tests.patterns.names import WEIGHTED
from tests.patterns.weighted import FORMULAS

TOLERANCE = {torch.float64: 1e-12, torch.float32: 3e-5}
SETTINGS = [(name, setting) for name in WEIGHTED for setting in examples(name) if setting != "long"]
SMALL = [
    (name, setting)
    for name, setting in SETTINGS
    if torch.Size(examples(name)[setting]["shape"]).numel() <= 200
]


def test_every_weighted_pattern_has_a_formula() -> None:
    assert sorted(FORMULAS) == WEIGHTED


def of_formula(
    name: str, setting: dict[str, Any], tensors: list[Tensor], inputs: dict[str, Tensor]
) -> Tensor:
    q, k, v = (each.double() for each in tensors)
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    wide = {key: value.double() for key, value in inputs.items()}
    return FORMULAS[name](q, k, v, q.shape[-1] ** -0.5, setting, wide)


def check(name: str, setting: dict[str, Any], dtype: torch.dtype, batch: int | None = None) -> None:
    """Forward and backward pass of a bound pattern beside its formula."""
    torch.manual_seed(0)
    bound = attndsl.pattern(name).bind(**setting)
    ir = bound.ir
    given = ir.derived or ir
    heads, tokens = (ir.heads, given.kv_heads, given.kv_heads), given.query_space.size
    tensors = [torch.randn(2, each, tokens, 16, dtype=dtype) for each in heads]
    inputs: dict[str, Any] = {key: value.to(dtype) for key, value in random_inputs(ir, 16, batch).items()}
    leaves = [each.requires_grad_() for each in (*tensors, *inputs.values())]
    q, k, v = tensors
    out = bound(q, k, v, **inputs)
    wanted = of_formula(name, setting, tensors, inputs)
    assert out.dtype == dtype
    compare(out, wanted, dtype)
    seed = torch.randn_like(out)
    found = torch.autograd.grad(out, leaves, seed)
    expected = torch.autograd.grad(wanted, leaves, seed.double())
    for mine, theirs in zip(found, expected, strict=True):
        compare(mine, theirs, dtype)


def compare(found: Tensor, wanted: Tensor, dtype: torch.dtype) -> None:
    error = float((found.double() - wanted.double()).detach().abs().max())
    assert error <= TOLERANCE[dtype] * max(1.0, float(wanted.detach().abs().max()))


def slow_but(*fast: str) -> list[Any]:
    """All patterns, of which only some are compiled in every run of the tests."""
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in WEIGHTED]


@pytest.mark.parametrize(("name", "setting"), SMALL)
def test_the_reference_equals_the_formula(name: str, setting: str) -> None:
    check(name, examples(name)[setting], torch.float64)


COMPILED = "relative_bias", "sink_logits", "softcap", "relu_attention"


@pytest.mark.parametrize("name", slow_but(*COMPILED))
def test_kernels_equal_the_formula(name: str) -> None:
    check(name, examples(name)["small"], torch.float32)


@pytest.mark.parametrize("name", slow_but("alibi", "low_rank_bias", "gated", "channel_attention"))
def test_inputs_may_differ_between_batch_elements_and_heads_be_grouped(name: str) -> None:
    small = examples(name)["small"]
    check(name, {**small, "heads": 4, "kv_heads": 2}, torch.float32, batch=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alibi", "softcap", "sink_logits", "softplus_attention"])
@pytest.mark.parametrize("length", [1, 37, 130])
def test_any_length(name: str, length: int) -> None:
    check(name, {**examples(name)["small"], "shape": (length,)}, torch.float32)


def test_huge_scores_stay_finite() -> None:
    bound = attndsl.pattern("softcap").bind(shape=20, heads=1, cap=30.0)
    q = torch.full((1, 1, 20, 8), 1e4)
    assert torch.isfinite(bound(q, q, q)).all()


def test_a_log_sum_exp_includes_the_sink() -> None:
    bound = attndsl.pattern("sink_logits").bind(shape=9, heads=1)
    q, sink = torch.randn(1, 1, 9, 8), torch.tensor([0.7])
    _, lse = bound(q, q, q, return_lse=True, sink=sink)
    _, wanted = bound.reference(q, q, q, return_lse=True, sink=sink)
    assert torch.allclose(lse, wanted, atol=1e-5)


def test_queries_that_see_nothing_give_0() -> None:
    text = "pattern p:\n    space tokens(n)\n    attend k.n < q.n - 3\n    weight sigmoid(s)\n"
    q = torch.randn(1, 1, 12, 8)
    out = attndsl.parse(text).bind(shape=12)(q, q, q)
    assert (out[:, :, :4] == 0).all()
    assert (out[:, :, 5:] != 0).any()
