"""The decays of a bound pattern in torch: the logarithm of each step, and sums of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op, register_autograd, register_fake

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR, decays_by_channel
from attndsl.ir.expr import Expr
from attndsl.ir.factors import LogOfFactor
from attndsl.runtime.checks import wide_type
from attndsl.runtime.finish import leaf_per_query
from attndsl.runtime.torch_expression import evaluate

Inputs = Mapping[str, Tensor]


def log_decay(ir: BoundIR, inputs: Inputs, q: Tensor) -> Tensor | None:
    """The logarithm of the decay of each step, float32 or float64 as q.

    [batch, heads, tokens], or [batch, heads, tokens, D] where channels of keys decay on their own; None
    without decay. What does not differ is expanded, not copied. Raises AttnCallError A0677 where a factor
    is below 0.
    """
    if ir.weighting.decay is None:
        return None
    value = _logarithm(ir, ir.weighting.decay.log, inputs, q)
    if decays_by_channel(ir):
        return value.expand(q.shape)
    return value.squeeze(-1).expand(q.shape[:3])


def _logarithm(ir: BoundIR, log: Expr, inputs: Inputs, q: Tensor) -> Tensor:
    """As [batch or 1, heads, tokens or 1, D or 1]."""
    of_others = leaf_per_query(ir, inputs, q.device)

    def leaf(node: Expr, operands: Sequence[Any]) -> Any:
        return _log(operands[0]) if isinstance(node, LogOfFactor) else of_others(node, operands)

    wide = wide_type(q.dtype)
    return torch.as_tensor(evaluate(log, leaf), device=q.device).to(wide)


def _log(factors: Tensor) -> Tensor:
    """The logarithm of factors, -inf of 0, where its gradient is taken to be 0."""
    factors = _checked(factors)
    known = torch.where(factors == 0, 1.0, factors)
    return torch.where(factors == 0, -torch.inf, known.log())


@custom_op("attndsl::factors", mutates_args=())
def _checked(factors: Tensor) -> Tensor:
    """The factors of a decay, none of them below 0."""
    least = float(factors.min()) if factors.numel() else 0.0
    if least < 0:
        raise AttnCallError(
            "A0677", f"a decay has the factor {least:.6g}, and weights decay by factors from 0 on",
            help="pass factors; where the input holds their logarithms, write `decay exp(g)`",
        )  # fmt: skip
    return factors.clone()


register_fake("attndsl::factors", torch.empty_like)
register_autograd("attndsl::factors", lambda ctx, gradient: gradient)


def with_computed_inputs(ir: BoundIR, given: Inputs, checked: Inputs, q: Tensor) -> dict[str, Tensor]:
    """The given inputs and, if kernels of pairs need them, what they read of a decay, float64 and int64.

    checked: the declared inputs. See `passes/decays.py`.
    """
    if not ir.computed:
        return dict(given)
    steps = log_decay(ir, checked, q.double())
    assert steps is not None
    values = (steps[:, :, 0],) if len(ir.computed) == 1 else _summed(steps, -1)
    return {**given, **{each.name: value for each, value in zip(ir.computed, values, strict=True)}}


def _summed(steps: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """The sums of all finite steps up to each token, and the numbers of those that forget everything."""
    forgets = steps.isneginf()
    return steps.masked_fill(forgets, 0.0).cumsum(dim), forgets.cumsum(dim)


def decayed_products(ir: BoundIR, q: Tensor, k: Tensor, start: int, inputs: Inputs) -> Tensor:
    """Dot products of query rows from `start` on with all keys, whose channels decay on the way.

    [batch, heads, rows, Nk]; sums over d of q_id k_jd exp(c_id - c_jd) with the sum c of logarithms, for
    i >= j, and the same with the sign turned for i < j.
    """
    like = q.new_empty(()).expand(*q.shape[:2], k.shape[2], q.shape[3])
    steps = log_decay(ir, inputs, like)
    assert steps is not None
    sums, forgets = _summed(steps, 2)
    keys, rows = k.repeat_interleave(ir.heads // ir.kv_heads, dim=1), []
    for row in range(q.shape[2]):
        between = sums[:, :, start + row, None] - sums
        later = torch.arange(k.shape[2], device=q.device) > start + row
        between = torch.where(later[:, None], -between, between)
        remembers = forgets == forgets[:, :, start + row, None]
        decay = torch.exp(torch.where(remembers, between, -torch.inf))
        rows.append(torch.einsum("bhd,bhjd->bhj", q[:, :, row], keys * decay))
    return torch.stack(rows, dim=2)
