"""The decays of a bound pattern in torch: the logarithm of each step, and sums of steps."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR, decays_by_channel
from attndsl.runtime.finish import per_query

Inputs = Mapping[str, Tensor]
FORGETS = -1e4
"""A logarithm whose exponential is 0 in float64, and which sums of many steps still hold exactly enough."""


def log_decay(ir: BoundIR, inputs: Inputs, q: Tensor) -> Tensor | None:
    """The logarithm of the decay of each step, float32 or float64 as q.

    [batch, heads, tokens], or [batch, heads, tokens, D] where channels of keys decay on their own; None
    without decay. What does not differ is expanded, not copied.
    """
    if ir.weighting.decay is None:
        return None
    wide = torch.float64 if q.dtype == torch.float64 else torch.float32
    value = per_query(ir, ir.weighting.decay.log, inputs, q.new_empty(0, dtype=wide))
    if decays_by_channel(ir):
        return value.expand(q.shape)
    return value.squeeze(-1).expand(q.shape[:3])


def with_sums_of_steps(ir: BoundIR, given: Inputs, checked: Inputs, q: Tensor) -> dict[str, Tensor]:
    """The given inputs and, if kernels of pairs need them, the sums of a decay's logarithms.

    checked: the declared inputs. The sums are float64 [batch, heads, tokens].
    """
    if not ir.computed:
        return dict(given)
    steps = log_decay(ir, checked, q.double())
    assert steps is not None
    return {**given, ir.computed[0].name: _finite(steps).cumsum(-1)}


def _finite(steps: Tensor) -> Tensor:
    """Steps that forget everything as numbers, so that differences of their sums are numbers too."""
    return steps.masked_fill(steps.isneginf(), FORGETS)


def decayed_products(ir: BoundIR, q: Tensor, k: Tensor, start: int, inputs: Inputs) -> Tensor:
    """Dot products of query rows from `start` on with all keys, whose channels decay on the way.

    [batch, heads, rows, Nk]; sums over d of q_id k_jd exp(c_id - c_jd) with the sum c of logarithms, for
    i >= j, and the same with the sign turned for i < j.
    """
    like = q.new_empty(()).expand(*q.shape[:2], k.shape[2], q.shape[3])
    steps = log_decay(ir, inputs, like)
    assert steps is not None
    sums = _finite(steps).cumsum(2)
    keys, rows = k.repeat_interleave(ir.heads // ir.kv_heads, dim=1), []
    for row in range(q.shape[2]):
        between = sums[:, :, start + row, None] - sums
        later = torch.arange(k.shape[2], device=q.device) > start + row
        decay = torch.exp(torch.where(later[:, None], -between, between))
        rows.append(torch.einsum("bhd,bhjd->bhj", q[:, :, row], keys * decay))
    return torch.stack(rows, dim=2)
