"""Attention over random plans is dense attention over the pairs that they list and the static mask shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import attndsl
from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR
from attndsl.ir.plan import Plan
from attndsl.runtime import routed_gathering, routed_listed
from attndsl.runtime.routed import Regime, regime_of, routed_attention
from attndsl.runtime.routed_mask import StaticMask
from tests.runtime.attention_cases import needs_compiler, tensors
from tests.runtime.routed_cases import SCALE, assert_like_dense, dense, random_plan, visible, whole_plan

REGIMES: dict[Regime, tuple[int, int]] = {"gathered": (1, 32), "blocks": (32, 32), "listed": (1, 1)}
"""Tokens of the units that each regime is tested with."""

pytestmark = needs_compiler
every_regime = pytest.mark.parametrize("regime", REGIMES)


def causal(tokens: int, heads: int = 1, kv_heads: int | None = None) -> BoundIR:
    return attndsl.pattern("causal").bind(shape=tokens, heads=heads, kv_heads=kv_heads).ir


def plan_of(regime: Regime, ir: BoundIR, kept: int = 3, batch: int = 1, heads: int | None = None) -> Plan:
    return random_plan(ir, *REGIMES[regime], kept * 10 if regime == "listed" else kept, batch, heads)


@every_regime
@pytest.mark.parametrize("heads", [4, 2, 1])
def test_random_plans(regime: Regime, heads: int) -> None:
    """The last units are short, some queries list nothing, heads share keys, and some of them lists."""
    ir = causal(200, heads=4, kv_heads=2)
    plan = plan_of(regime, ir, batch=2, heads=heads)
    given = tensors(ir, batch=2)
    assert regime_of(ir, plan, given[0], given[2]) == regime
    assert not visible(ir, plan).any(-1).all()
    assert_like_dense(ir, plan, given)


@every_regime
@pytest.mark.parametrize("tokens", [1, 33])
def test_few_tokens(regime: Regime, tokens: int) -> None:
    ir = causal(tokens)
    assert_like_dense(ir, whole_plan(ir, *REGIMES[regime]), tensors(ir))


@every_regime
def test_everything_listed_is_the_static_mask_alone(regime: Regime) -> None:
    ir = causal(100, heads=2)
    q, k, v = tensors(ir)
    out, lse = routed_attention(ir, whole_plan(ir, *REGIMES[regime]), q, k, v, SCALE)
    wanted, wanted_lse = attndsl.pattern("causal").bind(shape=100, heads=2)(
        q, k, v, scale=SCALE, return_lse=True
    )
    torch.testing.assert_close(out, wanted)
    torch.testing.assert_close(lse, wanted_lse)


@every_regime
def test_one_unit_for_each_query(regime: Regime) -> None:
    ir = causal(100)
    plan = plan_of(regime, ir)
    first = np.where(np.asarray(plan.counts)[..., None] > 0, np.asarray(plan.indices)[..., :1], -1)
    assert_like_dense(ir, replace(plan, indices=first.astype(np.int32)), tensors(ir))


@every_regime
def test_empty_plans(regime: Regime) -> None:
    ir = causal(50)
    plan = plan_of(regime, ir)
    nothing = np.full_like(plan.indices, -1)
    assert_like_dense(ir, replace(plan, indices=nothing), tensors(ir))
    assert_like_dense(ir, replace(plan, indices=nothing[..., :0]), tensors(ir))


@every_regime
def test_tensors_that_are_not_contiguous(regime: Regime) -> None:
    ir = causal(64, heads=4, kv_heads=2)
    q, k, v = (
        torch.randn(2, 64, heads, 32)[..., ::2].transpose(1, 2)
        for heads in (ir.heads, ir.kv_heads, ir.kv_heads)
    )
    assert_like_dense(ir, plan_of(regime, ir, heads=2), (q, k, v))


@every_regime
def test_bfloat16(regime: Regime) -> None:
    """Parts of a query are merged in float32: the error is that of rounding operands and results."""
    ir = causal(200, heads=2)
    plan, given = plan_of(regime, ir), tensors(ir, dtype=torch.bfloat16)
    out, lse = routed_attention(ir, plan, *given, scale=SCALE)
    wanted, wanted_lse = dense(visible(ir, plan), [each.double() for each in given])
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.double(), wanted, rtol=2e-2, atol=1e-2)
    torch.testing.assert_close(lse.double(), wanted_lse, rtol=1e-4, atol=1e-3)


def test_queries_with_many_units_are_gathered_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routed_gathering, "MOST_SLOTS", 100)
    ir = causal(200, heads=2, kv_heads=1)
    plan = plan_of("gathered", ir)
    gathering = routed_gathering.Gathering(StaticMask(ir), plan, 32, 32)
    assert [found.rows.start for found in gathering.chunks(0, 0)] == [0, 33, 66, 99, 132, 165, 198]
    assert_like_dense(ir, plan, tensors(ir))


def test_float64_runs_in_torch() -> None:
    ir = causal(150, heads=4, kv_heads=2)
    for units, heads in (((1, 32), 4), ((32, 8), 2), ((4, 1), 1)):
        plan = random_plan(ir, *units, 5, heads=heads)
        assert_like_dense(ir, plan, tensors(ir, dtype=torch.float64), tolerance=1e-12)


def test_few_keys_for_blocks_of_queries() -> None:
    """Units of 3 keys, and of 40 queries, which tiles cut."""
    ir = causal(150, heads=2)
    assert_like_dense(ir, random_plan(ir, 40, 3, 20), tensors(ir))


def test_keys_are_packed_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routed_listed, "PACKED", 2 * 64 * 2 * 16 * 4)
    ir = causal(150, heads=2)
    assert_like_dense(ir, plan_of("listed", ir, kept=8), tensors(ir))


@pytest.mark.parametrize("q_block", [1, 24])
def test_units_that_are_boxes(q_block: int) -> None:
    """Units of 4 x 6 tokens of a plane, under a static mask of two axes."""
    ir = attndsl.pattern("gna").bind(shape=(12, 18), window=(5, 7), heads=2).ir
    boxes = np.arange(216, dtype=np.int32).reshape(3, 4, 3, 6).transpose(0, 2, 1, 3).reshape(9, 24)
    plan = random_plan(ir, q_block, 24, 5, q_units=boxes if q_block > 1 else None, kv_units=boxes)
    q, k, v = tensors(ir)
    out, lse = routed_attention(ir, plan, q, k, v, SCALE)
    wanted = dense(visible(ir, plan), [q.double(), k.double(), v.double()])
    torch.testing.assert_close((out.double(), lse.double()), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("q_block", [1, 24])
def test_units_across_segments(q_block: int) -> None:
    """The mask of each pair of segments is another."""
    text = """
pattern p():
    space video(t, x) ++ text(n)
    attend
        video -> video: k.t <= q.t
        text -> video:  k.x < 9
        else:           true
"""
    ir = attndsl.parse(text).bind(shape=(7, 10), text=20, heads=1).ir
    plan = random_plan(ir, q_block, 24, 3)
    q, k, v = tensors(ir)
    out, lse = routed_attention(ir, plan, q, k, v, SCALE)
    wanted = dense(visible(ir, plan), [q.double(), k.double(), v.double()])
    torch.testing.assert_close((out.double(), lse.double()), wanted, rtol=1e-5, atol=1e-5)


@every_regime
def test_scores_and_the_gradients_of_what_they_read(regime: Regime) -> None:
    text = """
pattern p():
    space tokens(n)
    input bias: real[heads, key]
    attend causal
    score s + bias[head, k]
"""
    ir = attndsl.parse(text).bind(shape=80, heads=2).ir
    plan, given = plan_of(regime, ir), tensors(ir)
    bias = torch.randn(2, 80, dtype=torch.float64, requires_grad=True)
    out, lse = routed_attention(ir, plan, *given, scale=SCALE, inputs={"bias": bias})
    wide = [each.double() for each in given]
    wanted, wanted_lse = dense(visible(ir, plan), wide, lambda product: product + bias[None, :, None])
    torch.testing.assert_close((out.double(), lse.double()), (wanted, wanted_lse), rtol=1e-5, atol=1e-5)
    seed = torch.randn_like(wanted)
    found, exact = (torch.autograd.grad(each, bias, seed.to(each.dtype))[0] for each in (out, wanted))
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("normalize", "gradients"),
    [("sum", False), *(pytest.param(each, True, marks=pytest.mark.slow) for each in ("sum", "none"))],
)
def test_weights_that_are_no_softmax(normalize: str, gradients: bool) -> None:
    """Parts of a query are joined by their sums of weights, or added."""
    text = f"""
pattern p():
    space tokens(n)
    attend causal
    weight 1 / (1 + exp(-s))
    normalize {normalize}
"""
    ir = attndsl.parse(text).bind(shape=100, heads=2).ir
    plan, given = plan_of("gathered", ir), tensors(ir)
    leaves = [[each.clone().requires_grad_() for each in given] for _ in range(2)]
    (out, total), (wanted, wanted_total) = (
        routed_attention(ir, plan, *each, scale=SCALE, regime=regime)  # type: ignore[arg-type, misc]
        for each, regime in zip(leaves, ("gathered", "tokens"), strict=True)
    )
    torch.testing.assert_close((out, total), (wanted, wanted_total), rtol=1e-5, atol=1e-5)
    if not gradients:
        return
    seed = torch.randn_like(out)
    found, exact = (torch.autograd.grad(y, x, seed) for y, x in zip((out, wanted), leaves, strict=True))
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-5)


def test_mistakes_are_those_of_all_calls() -> None:
    ir = causal(64, heads=2)
    plan = plan_of("gathered", ir)
    q, k, v = tensors(ir)
    with pytest.raises(AttnCallError, match="A0605"):
        routed_attention(ir, plan, q[:, :, :10], k, v)
    out, _ = routed_attention(ir, plan, q.requires_grad_(), k, v)
    (gradient,) = torch.autograd.grad(out.sum(), q, create_graph=True)
    with pytest.raises(AttnCallError, match="A0617"):
        gradient.sum().backward()  # type: ignore[no-untyped-call]


def test_a_changed_plan_is_read_anew() -> None:
    """The tiles of the last plan are kept for its gradients."""
    ir = causal(64)
    plan = whole_plan(ir, 1, 32)
    plan = replace(plan, indices=torch.from_numpy(plan.indices), counts=torch.from_numpy(plan.counts))
    q, k, v = tensors(ir)
    before, _ = routed_attention(ir, plan, q, k, v)
    plan.indices[:, :, 40:, 0] = -1
    after, _ = routed_attention(ir, plan, q, k, v)
    assert torch.equal(before[:, :, :40], after[:, :, :40])
    assert not torch.allclose(before[:, :, 40:], after[:, :, 40:])
