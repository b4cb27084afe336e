"""Selection: the same plan in any chunks and types, over blocks, segments and heads; and calls with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import attndsl
from attndsl.ir.plan import Plan
from attndsl.pipeline import Bound
from attndsl.runtime import route_pools, route_scores
from attndsl.runtime import select as selection
from tests.patterns.examples import examples
from tests.patterns.inputs import random_inputs
from tests.patterns.names import ROUTED

MOBA = attndsl.pattern("moba").bind(shape=75, heads=4, kv_heads=2, block=8, topk=3)


def tensors(
    bound: Bound, dtype: torch.dtype = torch.float32, batch: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    heads, tokens = (bound.ir.heads, bound.ir.kv_heads, bound.ir.kv_heads), bound.ir.query_space.size
    q, k, v = (torch.randn(batch, each, tokens, 16, dtype=dtype) for each in heads)
    return q, k, v


@pytest.mark.parametrize("name", ["moba", "xattention", "nsa"])
def test_chunks_do_not_change_a_plan(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"moba": {"block": 8}, "xattention": {"block": 8, "stride": 4}, "nsa": {"block": 8, "n_sel": 2}}
    bound = attndsl.pattern(name).bind(shape=75, heads=4, kv_heads=2, **numbers[name])
    q, k, _ = tensors(bound)
    whole = bound.plan(q, k)
    monkeypatch.setattr(selection, "CHUNK", 100)
    parts = bound.plan(q, k)
    for one, other in zip(*map(plans, (whole, parts)), strict=True):
        assert torch.equal(one.indices, other.indices)
        assert torch.equal(one.counts, other.counts)


def plans(found: Any) -> list[Plan]:
    return list(found.values()) if isinstance(found, dict) else [found]


def test_low_precision_tensors_are_scored_in_single_precision() -> None:
    q, k, _ = (each.bfloat16() for each in tensors(MOBA))
    assert torch.equal(MOBA.plan(q, k).indices, MOBA.plan(q.float(), k.float()).indices)


def test_lists_ascend_and_end_in_padding() -> None:
    plan = MOBA.plan(*tensors(MOBA))
    for indices, count in zip(plan.indices.flatten(0, 2), plan.counts.flatten(), strict=True):
        listed = indices[:count]
        assert torch.equal(listed, listed.unique())
        assert indices[count:].eq(-1).all()


SHARED = """
pattern p:
    space tokens(n)
    blocks b of n by 8
    route score {}
          select top(2) per b
    attend true
"""


def test_heads_that_share_keys_select_for_themselves_or_together() -> None:
    scores = ["{}", "sum({} in kv_head)", "max({} in heads)"]
    found = [SHARED.format(each.format("mean(q in b) . mean(k in b)")) for each in scores]
    bound = [attndsl.parse(each).bind(shape=40, heads=4, kv_heads=2) for each in found]
    assert [each.plan(*tensors(each)[:2]).heads for each in bound] == [4, 2, 1]


def test_numbers_of_rules_may_differ_from_head_to_head() -> None:
    bound = attndsl.parse("""
pattern p(count: int[heads]):
    space tokens(n)
    blocks b of n by 8
    route score mean(k in b) . q
          select top(count[head]) per query
    attend true
""").bind(shape=40, heads=3, count=(1, 2, 4))
    q, k, _ = tensors(bound)
    assert bound.plan(q, k).counts.amax((0, 2)).tolist() == [1, 2, 4]
    assert bound.plan(q, k).counts.amin((0, 2)).tolist() == [1, 2, 4]


def test_tokens_of_other_segments_are_left_to_the_mask() -> None:
    bound = attndsl.parse("""
pattern p:
    space video(t, y) ++ text(n)
    blocks b of (t, y) by (1, 4)
    route score mean(q in b) . mean(k in b)
          select top(1) per b
    attend true
""").bind(shape=(3, 4), text=5, heads=1)
    mask = bound.plan(*tensors(bound, batch=1)[:2]).to_mask()[0, 0]
    assert mask[12:].all()
    assert mask[:, 12:].all()
    assert mask[:12, :12].sum(1).tolist() == [4] * 12


def test_a_call_takes_a_plan_of_its_own_or_a_given_one() -> None:
    q, k, v = tensors(MOBA)
    plan = MOBA.plan(q, k)
    assert torch.equal(MOBA(q, k, v), MOBA(q, k, v, plan=plan))
    other = MOBA.plan(q.flip(2), k)
    assert not torch.allclose(MOBA(q, k, v), MOBA(q, k, v, plan=other))
    torch.testing.assert_close(MOBA(q, k, v, plan=other), MOBA.reference(q, k, v, plan=other))
    both = MOBA(q, k, v, plan=plan | other)
    torch.testing.assert_close(both, MOBA.reference(q, k, v, plan=plan | other))


def test_the_mask_of_a_plan() -> None:
    q, k, _ = tensors(MOBA, batch=1)
    plan = MOBA.plan(q, k)
    assert np.array_equal(MOBA.mask(plan=plan), plan.of_heads(4)[0] & MOBA.mask())
    assert (MOBA.mask(plan=plan).sum(-1) <= np.minimum(np.arange(75) + 1, 24)).all()


def test_selection_leaves_no_trace_in_gradients() -> None:
    q, k, v = (each.requires_grad_() for each in tensors(MOBA))
    plan = MOBA.plan(q, k)
    assert not plan.indices.is_floating_point()
    assert not plan.counts.requires_grad
    seed = torch.randn_like(q)
    own = torch.autograd.grad(MOBA(q, k, v), (q, k, v), seed)
    given = torch.autograd.grad(MOBA(q, k, v, plan=plan), (q, k, v), seed)
    assert all(map(torch.equal, own, given))


def test_an_unbound_number_of_heads_follows_the_tensors() -> None:
    bound = attndsl.pattern("moba").bind(shape=75, block=8, topk=3)
    q, k, v = tensors(MOBA)
    torch.testing.assert_close(bound(q, k, v), MOBA(q, k, v))


def test_any_length_selects_at_each_length() -> None:
    anywhere = attndsl.pattern("moba").at_any_length(heads=4, kv_heads=2, block=8, topk=3)
    q, k, v = tensors(MOBA)
    torch.testing.assert_close(anywhere(q, k, v), MOBA(q, k, v))


def test_branches_over_the_same_blocks_pool_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = attndsl.pattern("sla").bind(shape=75, heads=2, bq=16, bk=8, keep=0.25, drop=0.25)
    q, k, _ = tensors(bound)
    apart = {name: branch.plan(q, k) for name, branch in bound.branches.items()}
    calls: list[str] = []
    original = route_pools.pooled

    def pooled(values: Tensor, members: Tensor | None, kind: str) -> Tensor:
        calls.append(kind)
        return original(values, members, kind)

    monkeypatch.setattr(route_scores, "pooled", pooled)
    monkeypatch.setattr(selection, "CHUNK", 100)
    together = bound.plan(q, k)
    assert len(calls) == 3  # queries by block, keys by block, and all keys
    for name, plan in apart.items():
        assert torch.equal(plan.indices, together[name].indices)


@pytest.mark.parametrize("name", ROUTED)
def test_a_batch_of_no_elements(name: str) -> None:
    bound = attndsl.pattern(name).bind(**examples(name)["small"])
    heads = bound.ir.heads, bound.ir.kv_heads, bound.ir.kv_heads
    q, k, v = (torch.zeros(0, each, bound.ir.query_space.size, 16) for each in heads)
    inputs: dict[str, Any] = random_inputs(bound.ir, 16)
    found = bound.plan(q, k, v, **inputs)
    assert all(plan.batch == 0 for plan in (found.values() if isinstance(found, dict) else [found]))
