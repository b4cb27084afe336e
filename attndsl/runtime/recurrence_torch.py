"""The chunked recurrence in torch operations: any device and type, differentiable; the maths of the kernels.

Chunks are computed side by side, all but their states, which follow one another. See `codegen/recurrence.py`
for the algorithm, and for why steps are summed and never subtracted.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

CHUNK, CHANNEL_CHUNK = 64, 16
"""Tokens per chunk; fewer where steps differ by channel, as there each doubling costs another product."""


def recurrence_in_torch(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor | None, initial_state: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Output in the type of q, and final state, computed in the type of the state. See `recurrence`."""
    out_kind, kind, group, tokens = q.dtype, initial_state.dtype, q.shape[1] // k.shape[1], q.shape[2]
    by_channel = decay is not None and decay.ndim == 4
    size = CHANNEL_CHUNK if by_channel else CHUNK
    steps = q.new_zeros(q.shape[:3], dtype=kind) if decay is None else decay.to(kind)
    k, v = (each.to(kind).repeat_interleave(group, 1) for each in (k, v))
    q, k, v = (_in_chunks(each, size) for each in (q.to(kind), k, v))
    steps = _in_chunks(steps if by_channel else steps[..., None], size)
    weights = _weights_by_levels(q, k, steps) if by_channel else _weights(q, k, steps[..., 0])
    faded_keys = k * _after(steps).exp()
    states = list(_states(initial_state, steps.sum(-2).exp(), faded_keys.mT @ v))
    before = torch.stack(states[:-1], 2)
    outputs = scale * (weights @ v + (q * steps.cumsum(-2).exp()) @ before)
    return outputs.flatten(2, 3)[:, :, :tokens].to(out_kind), states[-1]


def _in_chunks(tensor: Tensor, size: int) -> Tensor:
    """[batch, heads, tokens, channels] as [batch, heads, chunks, size, channels], filled up with 0."""
    return _blocks(pad(tensor, (0, 0, 0, -tensor.shape[2] % size)), size)


def _blocks(tensor: Tensor, size: int) -> Tensor:
    """[.., tokens, channels] as [.., blocks, size, channels]."""
    return tensor.reshape(*tensor.shape[:-2], -1, size, tensor.shape[-1])


def _states(state: Tensor, kept: Tensor, added: Tensor) -> Iterator[Tensor]:
    """The state before every chunk, and the final one."""
    yield state
    for chunk in range(added.shape[2]):
        state = state * kept[:, :, chunk, :, None] + added[:, :, chunk]
        yield state


def _after(steps: Tensor) -> Tensor:
    """Sums of all later steps of a chunk, [.., tokens, channels]."""
    later = pad(steps[..., 1:, :], (0, 0, 0, 1))
    return later.flip(-2).cumsum(-2).flip(-2)


def _weights(q: Tensor, k: Tensor, steps: Tensor) -> Tensor:
    """The weights of pairs [.., tokens, tokens]. steps: [.., tokens]."""
    size = steps.shape[-1]
    up_to = torch.ones(size, size, dtype=torch.bool, device=q.device).tril()
    between = torch.where(up_to.tril(-1), steps[..., None], 0.0).cumsum(-2)
    return (q @ k.mT) * torch.where(up_to, between, -torch.inf).exp()


def _weights_by_levels(q: Tensor, k: Tensor, steps: Tensor) -> Tensor:
    """The same where steps are [.., tokens, channels]: halves of blocks of 2, 4, 8 .. tokens."""
    size = steps.shape[-2]
    index = torch.arange(size, device=q.device)
    weights = (q * k).sum(-1).diag_embed()
    half = 1
    while half < size:
        blocks = _blocks(steps, half)
        queries = q * blocks.cumsum(-2).flatten(-3, -2).exp()
        keys = k * _after(blocks).flatten(-3, -2).exp()
        block = index // half
        halves = (block[:, None] % 2 == 1) & (block[:, None] == block[None, :] + 1)
        weights = torch.where(halves, queries @ keys.mT, weights)
        half *= 2
    return weights
