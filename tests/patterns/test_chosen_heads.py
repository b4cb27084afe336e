"""Heads that tokens choose: the mandatory cases, and arithmetic in float32 for inputs of 16 bits."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import attndsl
from attndsl.diagnostics import AttnError
from attndsl.runtime.head_choice import softmax_of_heads, top_of_heads
from tests.patterns.chosen_heads import moh

EDGES: dict[str, dict[str, Any]] = {
    "one routed head": {"shape": 9, "heads": 4, "shared": 1, "top": 1},
    "all routed heads": {"shape": 9, "heads": 4, "shared": 1, "top": 3},
    "no shared head": {"shape": 9, "heads": 4, "shared": 0, "top": 2},
    "shared heads only": {"shape": 9, "heads": 4, "shared": 4, "top": 0},
    "no routed head is chosen": {"shape": 9, "heads": 4, "shared": 2, "top": 0},
    "one head": {"shape": 5, "heads": 1, "shared": 0, "top": 1},
    "grouped keys": {"shape": 9, "heads": 4, "kv_heads": 2, "shared": 1, "top": 2},
    "one token": {"shape": 1, "heads": 3, "shared": 1, "top": 1},
}


def tensors(heads: int, kv_heads: int, tokens: int) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    return tuple(torch.randn(2, each, tokens, 8, dtype=torch.float64) for each in (heads, kv_heads, kv_heads))


def router(*shape: int) -> dict[str, Any]:
    given = {
        "router": torch.randn(shape),
        "for_shared": torch.randn(shape[:-1]),
        "for_routed": torch.randn(shape[:-1]),
    }
    return {name: value.double().requires_grad_() for name, value in given.items()}


@pytest.mark.parametrize("case", EDGES)
@pytest.mark.parametrize("batched", [False, True])
def test_outputs_and_gradients(case: str, batched: bool) -> None:
    setting = EDGES[case]
    heads, kv_heads = setting["heads"], setting.get("kv_heads", setting["heads"])
    q, k, v = tensors(heads, kv_heads, setting["shape"])
    inputs = router(*([2] if batched else []), setting["shape"], heads)
    out = attndsl.pattern("moh").bind(**setting).reference(q, k, v, **inputs)
    group = heads // kv_heads
    wanted = moh(q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1), 8**-0.5, setting, inputs)
    torch.testing.assert_close(out, wanted, rtol=1e-12, atol=1e-12)
    names, seed = list(inputs.values()), torch.randn_like(out)
    found, expected = (
        torch.autograd.grad(each, names, seed, allow_unused=True, materialize_grads=True)
        for each in (out, wanted)
    )
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-12)


def test_weights_are_computed_in_float32() -> None:
    setting = {"shape": 64, "heads": 4, "shared": 2, "top": 1}
    q, k, v = (each.bfloat16() for each in tensors(4, 4, 64))
    v.fill_(1.0)  # every head's output is 1, so that the result is the weights themselves
    inputs: dict[str, Any] = {name: (9 * value).detach().bfloat16() for name, value in router(64, 4).items()}
    out = attndsl.pattern("moh").bind(**setting)(q, k, v, **inputs)
    wide = {name: value.double() for name, value in inputs.items()}
    wanted = moh(q.double(), k.double(), v.double(), 8**-0.5, setting, wide)
    assert torch.equal(out, wanted.bfloat16())


def test_equals_and_infinities_choose_no_more_heads_than_asked_for() -> None:
    equal = torch.zeros(1, 4, 3, 1)
    assert (top_of_heads(4, equal, 2, True).sum(1) == 2).all()
    hidden = torch.full((1, 4, 3, 1), -torch.inf)
    assert softmax_of_heads(4, hidden, True).sum() == 0
    assert not top_of_heads(4, equal, 2, torch.zeros(1, 4, 1, 1, dtype=torch.bool)).any()


@pytest.mark.parametrize(
    "setting", [{"shared": 3, "top": 2}, {"shared": -1, "top": 1}, {"shared": 1, "top": -1}]
)
def test_counts_that_do_not_fit_are_refused(setting: dict[str, int]) -> None:
    with pytest.raises(AttnError, match="A0410"):
        attndsl.pattern("moh").bind(shape=8, heads=4, **setting)
