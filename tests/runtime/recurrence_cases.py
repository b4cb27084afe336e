"""The recurrence token by token in torch's float64, and tensors for it: the oracle of all implementations."""

from __future__ import annotations

import torch
from torch import Tensor


def make_tensors(
    tokens: int,
    kind: str = "token",
    decay: float = -0.1,
    heads: tuple[int, int] = (2, 2),
    dims: tuple[int, int] = (16, 16),
    batch: int = 2,
    dtype: torch.dtype = torch.float32,
) -> dict[str, Tensor | None]:
    """Random q, k, v, decay and initial_state. kind: 'none', 'token' or 'channel'. decay: the mean step."""
    random = torch.Generator().manual_seed(tokens)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random)

    (query_heads, kv_heads), (head_dim, value_dim) = heads, dims
    steps = (batch, query_heads, tokens, *([head_dim] if kind == "channel" else []))
    return {
        "q": normal(batch, query_heads, tokens, head_dim).to(dtype),
        "k": normal(batch, kv_heads, tokens, head_dim).to(dtype),
        "v": normal(batch, kv_heads, tokens, value_dim).to(dtype),
        "decay": None if kind == "none" else 2 * decay * torch.rand(steps, generator=random),
        "initial_state": normal(batch, query_heads, head_dim, value_dim),
    }


def by_tokens(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor | None, initial_state: Tensor, scale: float,
    runs: Tensor | None = None, kind: torch.dtype = torch.float64,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Output and final state, one token after the other, computed in `kind`."""
    group = q.shape[1] // k.shape[1]
    q, k, v = (each.to(kind) for each in (q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)))
    steps = torch.zeros(q.shape[:3], dtype=kind, device=q.device) if decay is None else decay.to(kind)
    factors = (steps if steps.ndim == 4 else steps[..., None]).exp()
    state, outputs = initial_state.to(kind), []
    for token in range(q.shape[2]):
        state = state * factors[:, :, token, :, None]
        if runs is not None and token:
            state = state * (runs[:, token] == runs[:, token - 1])[:, None, None, None]
        state = state + k[:, :, token, :, None] * v[:, :, token, None, :]
        outputs.append(scale * (q[:, :, token, None] @ state)[:, :, 0])
    return torch.stack(outputs, 2), state
