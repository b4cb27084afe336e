"""Attention in linear time, where `passes/linear_form.py` has proven that the pattern allows it.

The recurrence carries a state [batch, heads, D, Dv] over chunks of tokens; a pattern whose weights are
divided by their sum carries one more column, the sum of keys. Without causality there are two sums over all
keys, which are products of matrices; where a route lists blocks of keys, there is a sum for each of them
(`routed_sums.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR
from attndsl.ir.plan import Plan
from attndsl.runtime.checks import wide_type
from attndsl.runtime.decays import log_decay
from attndsl.runtime.documents import runs_of
from attndsl.runtime.finish import per_query
from attndsl.runtime.recurrence import recurrence, recurrence_step
from attndsl.runtime.routed_sums_operators import sums_over

Inputs = Mapping[str, Tensor]
HALF = (torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Linear:
    """Output [batch, heads, Nq, Dv], and the state after the last token; None where there is none."""

    out: Tensor
    state: Tensor | None = None


def linear_attention(
    ir: BoundIR, q: Tensor, k: Tensor, v: Tensor, scale: float, inputs: Inputs, state: Tensor | None = None,
    plan: Plan | None = None,
) -> Linear:  # fmt: skip
    """Attention by the pattern's linear form: 'recurrence' or 'sums'.

    q, k: after feature maps. state: before the first token, as an earlier call returned it. plan: of a route.
    """
    assert ir.linear is not None
    kind = q.dtype
    divides = ir.weighting.normalize == "sum"
    if plan is not None:
        out = sums_over(plan, q, k, with_ones(v) if divides else v, scale)
        return Linear(_divided(ir, out, inputs).to(kind))
    if divides and kind in HALF:  # the sum of weights must not be rounded
        q, k, v = q.float(), k.float(), v.float()
    values = with_ones(v) if divides else v
    if ir.linear.algorithm == "sums":
        out = _sums(ir, q, k, values, scale)
        return Linear(_divided(ir, out, inputs).to(kind))
    check_state(ir, state, q, values)
    runs = runs_of(inputs[ir.linear.documents]) if ir.linear.documents else None
    decay = log_decay(ir, inputs, q)
    out, final = recurrence(q, k, values, decay, scale=scale, initial_state=state, runs=runs)
    return Linear(_divided(ir, out, inputs).to(kind), final)


def linear_step(
    ir: BoundIR, q: Tensor, k: Tensor, v: Tensor, scale: float, inputs: Inputs, state: Tensor | None
) -> Linear:
    """The same for one more token, in constant time and memory."""
    values = with_ones(v) if ir.weighting.normalize == "sum" else v
    check_state(ir, state, q, values)
    if state is None:
        kind = wide_type(q.dtype)
        state = q.new_zeros((*q.shape[:2], q.shape[3], values.shape[3]), dtype=kind)
    decay = log_decay(ir, inputs, q)
    wide = [each.to(state.dtype) for each in (q, k, values)]
    out, final = recurrence_step(wide[0], wide[1], wide[2], state, decay, scale)
    return Linear(_divided(ir, out, inputs).to(q.dtype), final)


def with_ones(v: Tensor) -> Tensor:
    """Values with one more channel of ones, whose weighted sum is the sum of weights."""
    return torch.cat((v, torch.ones_like(v[..., :1])), dim=-1)


def _sums(ir: BoundIR, q: Tensor, k: Tensor, values: Tensor, scale: float) -> Tensor:
    """Q (k^T v): two products of matrices; sums over keys are at least float32."""
    wide = wide_type(q.dtype)
    total = k.to(wide).mT @ values.to(wide)
    grouped = q.to(wide).unflatten(1, (ir.kv_heads, ir.heads // ir.kv_heads))  # type: ignore[no-untyped-call]
    out: Tensor = (grouped @ total.unsqueeze(2)).flatten(1, 2) * scale
    return out


def _divided(ir: BoundIR, out: Tensor, inputs: Inputs) -> Tensor:
    """The weighted sum of values divided by the sum of weights, if that is the pattern's normaliser."""
    if ir.weighting.normalize == "none":
        return out
    total = out[..., -1:]
    if ir.weighting.sink is not None:
        total = total + per_query(ir, ir.weighting.sink, inputs, out).exp()
    empty = total == 0
    return torch.where(empty, 0.0, out[..., :-1] / torch.where(empty, 1.0, total))


def check_state(ir: BoundIR, state: Tensor | None, q: Tensor, values: Tensor) -> None:
    """Refuse a state that does not fit with A0670, and one on another device with A0609."""
    wanted = (*q.shape[:2], q.shape[3], values.shape[3])
    if state is None:
        return
    fits = isinstance(state, Tensor) and tuple(state.shape) == wanted and state.layout is torch.strided
    if not fits or not state.is_floating_point():
        found = f"{state.dtype} {tuple(state.shape)}" if isinstance(state, Tensor) else type(state).__name__
        raise AttnCallError(
            "A0670", f"the state of `{ir.name}` must be real, {wanted}; {found} given",
            help="pass the state that an earlier call returned, or leave it out to start from 0",
        )  # fmt: skip
    if state.device != q.device:
        raise AttnCallError(
            "A0609", f"q is on {q.device} and the state is on {state.device}",
            help="move them to one device, as state.to(q.device)",
        )  # fmt: skip
