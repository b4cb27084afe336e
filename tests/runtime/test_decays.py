"""Decays whose factors are 0: what is forgotten takes no part, neither in outputs nor in gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import attndsl
from attndsl.diagnostics import AttnCallError
from tests.runtime.attention_cases import needs_compiler

HEADS, N, D = 2, 37, 8
MASKS: dict[str, Callable[[int, int], bool]] = {
    "k.n < q.n": lambda i, j: j < i,
    "causal": lambda i, j: j <= i,
    "k.n < q.n or k.n > q.n + 3": lambda i, j: j < i or j > i + 3,
}


def bound(shape: str, mask: str, factor: str = "g", weight: str = "") -> Any:
    text = f"""
pattern p:
    space tokens(n)
    input g: real[{shape}]
    attend {mask}
    decay {factor} per step of n
    {weight}
"""
    return attndsl.parse(text).bind(shape=N, heads=HEADS)


def factors(shape: str) -> Tensor:
    """Between 0.5 and 1, with some that are 0."""
    if shape == "heads":
        return torch.tensor([0.75, 0.0], dtype=torch.float64)
    found = 0.5 + 0.5 * torch.rand(HEADS, N, dtype=torch.float64)
    found[:, 5] = found[1, 20:22] = found[0, 1] = 0.0
    return found


def tensors(dtype: torch.dtype) -> list[Tensor]:
    return [torch.randn(1, HEADS, N, D, dtype=dtype) for _ in range(3)]


def pair_by_pair(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor, visible: Callable[[int, int], bool], linear: bool
) -> tuple[Tensor, Tensor]:
    """Output and normaliser [HEADS, N]: the products of factors themselves, one pair after the other."""
    steps = g if g.ndim == 2 else g[:, None].expand(HEADS, N)
    weights = torch.zeros(HEADS, N, N, dtype=torch.float64)
    for i in range(N):
        for j in (j for j in range(N) if visible(i, j)):
            products = (q[0, :, i].double() * k[0, :, j]).sum(-1) * D**-0.5
            decay = steps[:, min(i, j) + 1 : max(i, j) + 1].prod(-1)
            weights[:, i, j] = decay * (products if linear else products.exp())
    total = weights.sum(-1, keepdim=True)
    out = weights @ v[0].double()
    return out if linear else torch.where(total > 0, out / total, 0.0), total.squeeze(-1)


@pytest.mark.parametrize("shape", ["heads", "heads, tokens"])
@pytest.mark.parametrize("mask", MASKS)
def test_a_query_that_has_forgotten_all_keys_gives_nothing(shape: str, mask: str) -> None:
    q, k, v = tensors(torch.float64)
    g = factors(shape)
    out, lse = bound(shape, mask).reference(q, k, v, g=g, return_lse=True)
    wanted, total = pair_by_pair(q, k, v, g, MASKS[mask], linear=False)
    assert torch.allclose(out[0], wanted, atol=1e-12)
    assert torch.allclose(lse[0], total.log(), atol=1e-12)
    assert bool((total == 0).any()) == (mask != "causal")


@pytest.mark.parametrize("shape", ["heads", "heads, tokens"])
def test_recurrences_forget_the_same(shape: str) -> None:
    q, k, v = tensors(torch.float64)
    g = factors(shape)
    call = bound(shape, "causal", weight="weight s\n    normalize none")
    wanted, _ = pair_by_pair(q, k, v, g, MASKS["causal"], linear=True)
    assert call.algorithm == "recurrence"
    assert torch.allclose(call(q, k, v, g=g)[0], wanted, atol=1e-12)
    assert torch.allclose(call.reference(q, k, v, g=g)[0], wanted, atol=1e-12)


@needs_compiler
@pytest.mark.parametrize("shape", [pytest.param("heads", marks=pytest.mark.slow), "heads, tokens"])
def test_kernels_forget_the_same_and_have_gradients(shape: str) -> None:
    given, g = [each.requires_grad_() for each in tensors(torch.float32)], factors(shape).requires_grad_()
    call = bound(shape, "k.n < q.n")
    out, lse = call(*given, g=g, return_lse=True)
    wanted, wanted_lse = call.reference(*given, g=g, return_lse=True)
    assert torch.allclose(out, wanted, atol=2e-6)
    assert torch.allclose(lse, wanted_lse, atol=2e-6)
    seed = torch.randn_like(out)
    found = torch.autograd.grad(out, [*given, g], seed)
    expected = torch.autograd.grad(wanted, [*given, g], seed)
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-4)
    assert (found[3][g == 0] == 0).all()


@pytest.mark.parametrize("weight", ["", "weight s"])
def test_factors_and_their_logarithms_are_the_same(weight: str) -> None:
    given, g = tensors(torch.float64), factors("heads, tokens").requires_grad_()
    logarithms = g.detach().log().requires_grad_()
    out = bound("heads, tokens", "causal", "g", weight).reference(*given, g=g)
    same = bound("heads, tokens", "causal", "exp(g)", weight).reference(*given, g=logarithms)
    assert torch.allclose(out, same, atol=1e-12)
    (mine,) = torch.autograd.grad(out.sum(), g)
    (theirs,) = torch.autograd.grad(same.sum(), logarithms)
    assert torch.allclose(mine * g, theirs, atol=1e-12)
    assert mine.isfinite().all()


@pytest.mark.parametrize("weight", ["", "weight s"])
def test_no_factor_is_below_zero(weight: str) -> None:
    call = bound("heads, tokens", "causal", "0.5 - g", weight)
    with pytest.raises(AttnCallError, match=r"a decay has the factor -0\.25, ") as caught:
        call(*tensors(torch.float64), g=torch.full((HEADS, N), 0.75))
    assert caught.value.code == "A0677"


def test_factors_may_be_read_by_head() -> None:
    given, g = tensors(torch.float64), factors("heads")
    found = bound("heads", "causal", "g[head]").reference(*given, g=g)
    assert torch.allclose(found, bound("heads", "causal", "g").reference(*given, g=g))


def test_factors_are_checked_in_graphs() -> None:
    call = bound("heads, tokens", "causal", weight="weight s")
    compiled: Any = torch.compile(call, fullgraph=True, backend="eager")
    given, g = tensors(torch.float64), factors("heads, tokens")
    assert torch.allclose(compiled(*given, g=g), call(*given, g=g))
    with pytest.raises(AttnCallError, match="A0677"):
        compiled(*given, g=-g)
