"""Mixture of heads by its formula, token by token, in float64 torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.patterns.combined import attention

Inputs = dict[str, Tensor]
Setting = dict[str, Any]


def moh(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    out = attention(q, k, v, scale)
    router, pair = inputs["router"], torch.stack([inputs["for_shared"], inputs["for_routed"]], -1)
    tokens = range(q.shape[2])
    if router.ndim == 2:
        return torch.stack([out[:, :, n] * head_weights(router[n], pair[n], setting) for n in tokens], 2)
    own = [
        torch.stack([head_weights(row, two, setting) for row, two in zip(*each, strict=True)], 1)
        for each in zip(router, pair, strict=True)
    ]
    return out * torch.stack(own)


def head_weights(logits: Tensor, pair: Tensor, setting: Setting) -> Tensor:
    """[heads, 1]: what one token gives to each head, as the paper says it, step by step."""
    shared, top = setting["shared"], setting["top"]
    first = shared * torch.softmax(logits[:shared], 0)
    probabilities = torch.softmax(logits[shared:], 0)
    chosen = torch.zeros(len(probabilities), dtype=torch.bool)
    for place in sorted(range(len(chosen)), key=lambda place: -float(probabilities[place].detach()))[:top]:
        chosen[place] = True
    kept = torch.where(chosen, probabilities, 0.0)
    rest = top * kept / kept.sum() if top else kept
    if shared and top:
        both = 2 * torch.softmax(pair, 0)
        first, rest = both[0] * first, both[1] * rest
    return torch.cat([first, rest]).unsqueeze(-1)
