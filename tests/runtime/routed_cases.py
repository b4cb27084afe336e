"""Shared by the tests of plans: random plans, and dense attention over what a plan lists, in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR
from attndsl.ir.plan import Plan
from attndsl.runtime.routed import Regime, routed_attention
from tests.runtime.attention_cases import mask_of

Score = Callable[[Tensor], Tensor]
SCALE = 0.3


def random_plan(
    ir: BoundIR, q_block: int, kv_block: int, kept: int, batch: int = 1, heads: int | None = None,
    q_units: np.ndarray | None = None, kv_units: np.ndarray | None = None,
) -> Plan:  # fmt: skip
    """From 0 to `kept` random key units for each query unit."""
    random = np.random.default_rng(q_block * 1000 + kv_block)
    queries, keys = ir.query_space.size, ir.key_space.size
    rows = -(-queries // q_block) if q_units is None else len(q_units)
    units = -(-keys // kv_block) if kv_units is None else len(kv_units)
    shape = batch, heads or ir.heads, rows
    counts = random.integers(0, min(kept, units) + 1, shape).astype(np.int32)
    ranks = np.arange(min(kept, units)) < counts[..., None]
    chosen = random.random((*shape, units)).argsort(-1)[..., : ranks.shape[-1]]
    indices = np.sort(np.where(ranks, chosen, units), axis=-1)
    indices = np.where(indices == units, -1, indices).astype(np.int32)
    return Plan(queries, keys, q_block, kv_block, indices, counts, q_units, kv_units)


def whole_plan(ir: BoundIR, q_block: int, kv_block: int) -> Plan:
    """Every query unit lists every key unit."""
    queries, keys = ir.query_space.size, ir.key_space.size
    rows, units = -(-queries // q_block), -(-keys // kv_block)
    indices = np.broadcast_to(np.arange(units, dtype=np.int32), (1, 1, rows, units))
    return Plan(queries, keys, q_block, kv_block, indices.copy(), np.full((1, 1, rows), units, np.int32))


def visible(ir: BoundIR, plan: Plan) -> Tensor:
    """What the plan lists and the static mask shows, bool [batch, heads, queries, keys]."""
    listed = torch.from_numpy(plan.to_mask()).repeat_interleave(ir.heads // plan.heads, dim=1)
    return listed & mask_of(ir)


def dense(
    mask: Tensor, given: Sequence[Tensor], score: Score = lambda product: product
) -> tuple[Tensor, Tensor]:
    """Output and LSE, written out; queries that see nothing give 0, -inf and no gradients."""
    q, k, v = given
    group = q.shape[1] // k.shape[1]
    product = q @ k.repeat_interleave(group, 1).mT * SCALE
    empty = ~mask.any(-1, keepdim=True)
    scores = score(product).masked_fill(~(mask | empty), -torch.inf)
    weights = torch.softmax(scores, -1) * ~empty
    lse = torch.logsumexp(scores, -1).masked_fill(empty.squeeze(-1), -torch.inf)
    return weights @ v.repeat_interleave(group, 1), lse


def assert_like_dense(
    ir: BoundIR,
    plan: Plan,
    given: Sequence[Tensor],
    regime: Regime | None = None,
    score: Score = lambda product: product,
    tolerance: float = 1e-5,
) -> None:
    """Output, LSE and gradients are those of dense attention in float64."""
    mask = visible(ir, plan)
    leaves = [each.detach().requires_grad_() for each in given]
    wide = [each.detach().double().requires_grad_() for each in given]
    q, k, v = leaves
    out, lse = routed_attention(ir, plan, q, k, v, SCALE, regime=regime)
    wanted, wanted_lse = dense(mask, wide, score)
    torch.testing.assert_close(out.double(), wanted, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(lse.double(), wanted_lse, rtol=1e-5, atol=1e-5)
    seed, lse_seed = torch.randn_like(wanted), torch.randn_like(wanted_lse) * mask.any(-1)
    found = torch.autograd.grad((out, lse), leaves, (seed.to(out.dtype), lse_seed.to(lse.dtype)))
    exact = torch.autograd.grad((wanted, wanted_lse), wide, (seed, lse_seed))
    for name, mine, each in zip("qkv", found, exact, strict=True):
        error = (mine.double() - each).abs().max()
        assert error <= 2 * tolerance * (1 + each.abs().max()), f"gradient of {name}: error {error:.3g}"
