"""Plans that callers give: what is no plan is refused, changes are seen, and future keys are not read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import attndsl
from attndsl.diagnostics import AttnCallError
from attndsl.ir.plan import Plan
from attndsl.runtime.routed import routed_attention
from tests.runtime.attention_cases import needs_compiler, tensors
from tests.runtime.routed_cases import whole_plan
from tests.runtime.triton_worker import interpreted, needs_triton

MOBA = attndsl.pattern("moba").bind(shape=128, heads=4, kv_heads=2, block=16, topk=3)
UNITS = torch.arange(128, dtype=torch.int32).reshape(8, 16)
MISTAKES: dict[str, tuple[str, Callable[[Tensor, Tensor], dict[str, Any]]]] = {
    "64-bit": ("A0694", lambda lists, counts: {"indices": lists.long(), "counts": counts.long()}),
    "reals": ("A0694", lambda lists, counts: {"indices": lists.float()}),
    "no array": ("A0694", lambda lists, counts: {"indices": lists.tolist()}),
    "nothing": ("A0694", lambda lists, counts: {"counts": None}),
    "no data": ("A0694", lambda lists, counts: {"indices": lists.to("meta")}),
    "sparse": ("A0694", lambda lists, counts: {"indices": lists.to_sparse()}),
    "beyond the last block": ("A0694", lambda lists, counts: {"indices": torch.where(lists == 0, 8, lists)}),
    "below the padding": ("A0694", lambda lists, counts: {"indices": torch.where(lists < 0, -2, lists)}),
    "descending": ("A0694", lambda lists, counts: {"indices": lists.flip(-1)}),
    "twice the same": ("A0694", lambda lists, counts: {"indices": 0 * lists, "counts": 0 * counts + 3}),
    "padding first": ("A0694", lambda lists, counts: {"indices": lists.roll(1, -1)}),
    "other counts": ("A0694", lambda lists, counts: {"counts": counts + 1}),
    "three dimensions": ("A0694", lambda lists, counts: {"indices": lists[0]}),
    "units of no size": ("A0694", lambda lists, counts: {"kv_block": 0}),
    "units of a size that is no number": ("A0694", lambda lists, counts: {"kv_block": "16"}),
    "tokens in two units": ("A0694", lambda lists, counts: {"kv_units": 0 * UNITS}),
    "tokens that are no integers": ("A0694", lambda lists, counts: {"kv_units": UNITS.float()}),
    "a unit of nothing": (
        "A0694",
        lambda lists, counts: {"kv_units": torch.cat([UNITS, -1 - 0 * UNITS[:1]])},
    ),
    "too few heads": ("A0693", lambda lists, counts: {"indices": lists[:, :3], "counts": counts[:, :3]}),
    "no heads": ("A0693", lambda lists, counts: {"indices": lists[:, :0], "counts": counts[:, :0]}),
    "too few elements": ("A0693", lambda lists, counts: {"indices": lists[:2], "counts": counts[:2]}),
    "other tokens": ("A0692", lambda lists, counts: {"queries": 64}),
}


def call() -> tuple[tuple[Tensor, Tensor, Tensor], Plan]:
    torch.manual_seed(0)
    q, k, v = (torch.randn(3, heads, 128, 16) for heads in (4, 2, 2))
    return (q, k, v), MOBA.plan(q, k)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_no_plan_is_refused(mistake: str) -> None:
    (q, k, v), plan = call()
    code, changes = MISTAKES[mistake]
    with pytest.raises(AttnCallError) as caught:
        MOBA(q, k, v, plan=replace(plan, **changes(plan.indices, plan.counts)))
    assert caught.value.code == code


@needs_compiler
@pytest.mark.parametrize("kind", ["NumPy", "views", "wide padding", "other strides"])
def test_plans_may_lie_in_memory_as_they_like(kind: str) -> None:
    (q, k, v), plan = call()
    lists, counts = plan.indices, plan.counts
    same = {
        "NumPy": (lists.numpy(), counts.numpy()),
        "views": (torch.cat([lists, lists], 3)[..., :3], torch.stack([counts, counts], 3)[..., 0]),
        "wide padding": (torch.nn.functional.pad(lists, (0, 9), value=-1), counts),
        "other strides": (lists.mT.contiguous().mT, counts.mT.contiguous().mT),
    }[kind]
    out = MOBA(q, k, v, plan=replace(plan, indices=same[0], counts=same[1]))
    assert torch.equal(out, MOBA(q, k, v))


@needs_compiler
def test_a_plan_is_looked_at_once_and_anew_after_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking at it waits for a GPU."""
    (q, k, v), plan = call()
    wanted = MOBA(q, k, v, plan=plan)
    with monkeypatch.context() as patch:
        patch.setattr("attndsl.ir.plan_checks.check_arrays", lambda plan: pytest.fail("looked at again"))
        assert torch.equal(MOBA(q, k, v, plan=plan), wanted)
    plan.indices[0, 0, 0] = 8
    with pytest.raises(AttnCallError, match="A0694"):
        MOBA(q, k, v, plan=plan)


@needs_compiler
def test_plans_in_inference_mode() -> None:
    """Its tensors do not count their changes."""
    (q, k, v), _ = call()
    wanted = MOBA(q, k, v)
    with torch.inference_mode():
        assert torch.equal(MOBA(q, k, v), wanted)
        assert torch.equal(MOBA(q, k, v, plan=MOBA.plan(q, k)), wanted)


@needs_compiler
def test_a_changed_numpy_plan_is_read_anew_but_not_by_gradients() -> None:
    (q, k, v), plan = call()
    q.requires_grad_()
    plan = replace(plan, indices=plan.indices.numpy(), counts=plan.counts.numpy())
    out = MOBA(q, k, v, plan=plan)
    (wanted,) = torch.autograd.grad(out.sum(), q, retain_graph=True)
    plan.indices[:, :, 64:], plan.counts[:, :, 64:] = -1, 0
    assert MOBA(q, k, v, plan=plan)[:, :, 64:].eq(0).all()
    (found,) = torch.autograd.grad(out.sum(), q)
    assert torch.equal(found, wanted)


def poisoned(units: tuple[int, int]) -> bool:
    """Whether a plan of all keys makes a causal pattern look at blocks of keys after the query's.

    These are not numbers, which would spread: a weight of 0 does not remove them.
    """
    ir = attndsl.pattern("causal").bind(shape=128, heads=2, kv_heads=1).ir
    q, k, v = tensors(ir)
    plan = whole_plan(ir, *units)
    wanted, _ = routed_attention(ir, plan, q, k, v)
    for future in k, v:
        future[:, :, 64:] = torch.nan
    q.requires_grad_()
    out, _ = routed_attention(ir, plan, q, k, v)
    (gradient,) = torch.autograd.grad(out[:, :, :64].sum(), q)
    return not torch.equal(out[:, :, :64], wanted[:, :, :64]) or bool(gradient[:, :, :64].isnan().any())


@needs_compiler
@pytest.mark.parametrize("units", [(1, 32), (32, 32), (1, 1)])
def test_future_blocks_are_never_read(units: tuple[int, int]) -> None:
    assert not poisoned(units)


@needs_triton
@pytest.mark.parametrize("units", [(1, 32), (32, 32)])
def test_future_blocks_are_never_read_by_triton(units: tuple[int, int]) -> None:
    assert not interpreted(poisoned, units)
