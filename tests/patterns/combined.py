"""Shipped patterns of branches, derived tensors and flows by their formulas, in float64 torch."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from tests.patterns.decayed import divided

Inputs = dict[str, Tensor]
Setting = dict[str, Any]


def attention(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    return torch.softmax(q @ k.mT * scale, -1) @ v


def soft_pag(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    u = torch.as_tensor(setting["u"], dtype=torch.float64).expand(q.shape[1]).view(-1, 1, 1)
    return (1 - u) * attention(q, k, v, scale) + u * v


def agent(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    size = math.ceil(q.shape[2] / setting["agents"])
    runs = torch.split(q, size, 2)
    agents = torch.stack([run.mean(2) for run in runs], 2)
    return attention(q, agents, attention(agents, k, v, scale), scale)


def channel_attention(
    q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs
) -> Tensor:
    weights = torch.softmax(scale * torch.einsum("bhnc,bhnd->bhcd", k, v), -1)
    return torch.einsum("bhcd,bhnd->bhnc", weights, q)


def lizard(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    n = q.shape[2]
    i, j = torch.arange(n)[:, None], torch.arange(n)
    total = inputs["g"].cumsum(-1)
    decay = (total[..., :, None] - total[..., None, :]).masked_fill(j > i, -math.inf).exp()
    far = divided(torch.softmax(q, -1) @ torch.softmax(k, -1).mT * decay, v)
    seen = (j <= i) & ((j < setting.get("meta", 4)) | (i - j < setting["window"]))
    return far + torch.softmax((q @ k.mT * scale).masked_fill(~seen, -math.inf), -1) @ v


def flowformer(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    """Sums over all pairs, as the formulas of the paper stand."""
    queries, keys = torch.sigmoid(q), torch.sigmoid(k)
    incoming = torch.einsum("bhid,bhjd->bhi", queries, keys)[..., None]
    outgoing = torch.einsum("bhjd,bhid->bhj", keys, queries)[..., None]
    taken = torch.einsum("bhid,bhjd->bhi", queries, keys / outgoing)[..., None]
    sent = torch.einsum("bhjd,bhid->bhj", keys, queries / incoming).clamp(-1, 1)
    competition = torch.softmax(sent, -1)[..., None] * k.shape[2]
    return torch.sigmoid(taken) * ((queries / incoming) @ keys.mT @ (v * competition))


FORMULAS = {formula.__name__: formula for formula in (agent, channel_attention, flowformer, lizard, soft_pag)}
"""The formula of each pattern, by the pattern's name."""
