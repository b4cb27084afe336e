"""Linear attention with decay in linear time: the recurrence over chunks of tokens, and one step of it.

    S_t = diag(e^{g_t}) S_{t-1} + k_t v_t^T,    o_t = scale * q_t^T S_t

Which patterns mean this is decided before: here are tensors only.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attndsl.runtime.checks import wide_type
from attndsl.runtime.recurrence_operators import recurrence_operator
from attndsl.runtime.recurrence_passes import has_kernels
from attndsl.runtime.recurrence_torch import recurrence_in_torch
from attndsl.runtime.transforms import refuse_derivatives


def recurrence(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    decay: Tensor | None = None,
    *,
    scale: float,
    initial_state: Tensor | None = None,
    runs: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The output [B, H, N, Dv] in the type of q, and the state [B, H, D, Dv] after the last token.

    q: [B, H, N, D]. k: [B, KVH, N, D]. v: [B, KVH, N, Dv]; KVH divides H. decay: natural logarithm of the
    decay per step, [B, H, N] or [B, H, N, D]; -inf forgets everything before the token. initial_state: the
    state before the first token, [B, H, D, Dv]; 0 if not given. runs: int32 [B or 1, N], nondecreasing; the
    state is 0 again before a token whose run differs from that of the token before. Strides are free. States
    are float32, of float64 tensors float64. Differentiable in q, k, v, decay and initial_state.
    """
    kind = wide_type(q.dtype)
    if initial_state is None:
        initial_state = q.new_zeros((*q.shape[:2], q.shape[3], v.shape[3]), dtype=kind)
    if 0 in q.shape[:3]:
        return q.new_empty((*q.shape[:3], v.shape[3])), initial_state.to(kind)
    if runs is not None:
        decay = _forget_between(runs, decay, q, kind)
    if decay is not None:
        decay = decay.to(kind)
    if not has_kernels(q, k, v):
        return recurrence_in_torch(q, k, v, decay, initial_state.to(kind), scale)
    if not torch.compiler.is_compiling():
        refuse_derivatives(*(each for each in (q, k, v, decay, initial_state) if each is not None))
    found: tuple[Tensor, Tensor] = recurrence_operator(q, k, v, decay, initial_state.to(kind), scale)
    return found


def recurrence_step(
    q: Tensor, k: Tensor, v: Tensor, state: Tensor, decay: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """The recurrence for one token: the output [B, H, 1, Dv] and the next state, in constant time and memory.

    q: [B, H, 1, D]. k: [B, KVH, 1, D]. v: [B, KVH, 1, Dv]. state: [B, H, D, Dv]. decay: [B, H, 1] or
    [B, H, 1, D]. Differentiable.
    """
    group = q.shape[1] // k.shape[1]
    keys, values = (each.to(state.dtype).repeat_interleave(group, 1) for each in (k, v))
    if decay is not None:
        factors = (decay if decay.ndim == 4 else decay[..., None]).to(state.dtype).exp()
        state = state * factors.mT
    state = state + keys.mT * values
    return (scale * (q.to(state.dtype) @ state)).to(q.dtype), state


def _forget_between(runs: Tensor, decay: Tensor | None, q: Tensor, kind: torch.dtype) -> Tensor:
    """The decay, with a step of -inf at the first token of every run but the first."""
    same = runs[:, 1:] == runs[:, :-1]
    begins = torch.nn.functional.pad(~same, (1, 0))[:, None]
    if decay is None:
        decay = q.new_zeros(1, dtype=kind).expand(q.shape[:3])
    return torch.where(begins[..., None] if decay.ndim == 4 else begins, -torch.inf, decay.to(kind))
