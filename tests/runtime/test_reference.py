"""The reference backend: the denotation, differentiable, whatever the size of its chunks."""

from __future__ import annotations

import pytest
import torch

import attndsl
from attndsl.ir.bound import BoundIR
from attndsl.runtime import reference as module
from attndsl.runtime.reference import reference
from tests.runtime.attention_cases import mask_of, plain, tensors


def gna(heads: int = 4, kv_heads: int = 2) -> BoundIR:
    return attndsl.pattern("gna").bind(shape=(5, 6), heads=heads, kv_heads=kv_heads, window=(3, 3)).ir


def partly_blind() -> BoundIR:
    """Queries 0 to 3 see nothing."""
    text = "pattern p():\n    space tokens(n)\n    attend k.n < q.n - 3\n"
    ir: BoundIR = attndsl.parse(text).bind(shape=9).ir
    return ir


def double(ir: BoundIR, **sizes: int) -> list[torch.Tensor]:
    return [t.requires_grad_() for t in tensors(ir, dtype=torch.float64, **sizes)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_it_is_masked_attention(dtype: torch.dtype) -> None:
    ir = gna()
    given = tensors(ir, batch=2, dim=8, value_dim=5, dtype=dtype)
    out, lse = reference(ir, *given, return_lse=True)
    wanted, wanted_lse = plain([t.double() for t in given], mask_of(ir))
    assert out.dtype == dtype
    assert lse.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(out, wanted.to(dtype))
    torch.testing.assert_close(lse.double(), wanted_lse, rtol=1e-6, atol=1e-6)


def test_queries_that_see_nothing_give_zero_and_zero_gradients() -> None:
    ir = partly_blind()
    q, k, v = double(ir)
    out, lse = reference(ir, q, k, v, return_lse=True)
    assert torch.all(out[:, :, :4] == 0)
    assert torch.all(lse[:, :, :4] == -torch.inf)
    (out.sum() + lse[:, :, 4:].sum()).backward()
    assert all(t.grad is not None and torch.isfinite(t.grad).all() for t in (q, k, v))
    assert q.grad is not None
    assert torch.all(q.grad[:, :, :4] == 0)


GROUPED = attndsl.pattern("sliding_window").bind(shape=5, heads=4, kv_heads=2, left=2).ir


@pytest.mark.parametrize("ir", [GROUPED, partly_blind()], ids=["grouped", "blind"])
def test_gradients_are_those_of_the_formula(ir: BoundIR) -> None:
    q, k, v = double(ir, dim=3, value_dim=2)

    def outputs(*given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out, lse = reference(ir, *given, return_lse=True)
        return out, torch.where(lse == -torch.inf, 0.0, lse)

    assert torch.autograd.gradcheck(outputs, (q, k, v))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ir = gna()
    q, k, v = double(ir)
    whole = reference(ir, q, k, v)
    gradients = torch.autograd.grad(whole.square().sum(), (q, k, v))
    monkeypatch.setattr(module, "CHUNK", 4 * 30 * 7)
    parts = reference(ir, q, k, v)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(torch.autograd.grad(parts.square().sum(), (q, k, v)), gradients)


def test_inputs_may_differ_between_batch_elements() -> None:
    ir = attndsl.pattern("document").bind(shape=12, heads=2).ir
    given = tensors(ir, batch=2, dtype=torch.float64)
    doc = torch.tensor([[0] * 5 + [1] * 7, [3] * 12])
    out = reference(ir, *given, doc=doc)
    for batch in range(2):
        wanted = plain(given, mask_of(ir, doc=doc[batch].numpy()))[0]
        torch.testing.assert_close(out[batch], wanted[batch])


def test_a_key_space_may_be_empty() -> None:
    text = "pattern p():\n    query space q(a)\n    key space k(b) ++ text(n)\n    attend true\n"
    ir = attndsl.parse(text).bind(shape=3, key_shape=1).ir
    q, k, v = double(ir)
    assert reference(ir, q, k, v).shape == (1, 1, 3, 16)


def test_memory_stays_far_below_all_pairs() -> None:
    ir = attndsl.pattern("sliding_window").bind(shape=12_000, heads=1, left=5).ir
    q, k, v = tensors(ir, dim=4)
    out = reference(ir, q, k, v)  # all pairs in float64 would be 1.2 GB
    torch.testing.assert_close(out[0, 0, 0], v[0, 0, 0])
