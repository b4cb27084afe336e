"""What gates say across heads, in torch. Values are [batch or 1, heads or 1, queries or 1, channels or 1]."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def softmax_of_heads(heads: int, values: Any, condition: Any) -> Tensor:
    """Over the heads for which the condition holds, 0 for all others; in float32 at least."""
    values, takes_part = _of_heads(heads, values, condition)
    values = torch.where(takes_part, values, -torch.inf)
    highest = values.detach().amax(1, keepdim=True)
    weights = torch.exp(values - torch.where(highest == -torch.inf, 0.0, highest))
    total = weights.sum(1, keepdim=True)
    return weights / torch.where(total == 0, 1.0, total)


def top_of_heads(heads: int, values: Any, count: int, condition: Any) -> Tensor:
    """Whether each head is among the `count` of the largest values for which the condition holds."""
    values, takes_part = _of_heads(heads, values, condition)
    places = torch.where(takes_part, values, -torch.inf).topk(min(max(count, 0), heads), dim=1).indices
    chosen = torch.zeros(values.shape, dtype=torch.bool, device=values.device)
    return chosen.scatter_(1, places, True) & takes_part


def _of_heads(heads: int, values: Any, condition: Any) -> tuple[Tensor, Tensor]:
    """Values and condition of all heads."""
    values = torch.as_tensor(values)
    values = values if values.dtype == torch.float64 else values.float()
    takes_part = torch.as_tensor(condition, device=values.device)
    shape = np.broadcast_shapes(values.shape, takes_part.shape, (1, heads, 1, 1))
    return values.expand(shape), takes_part.expand(shape)
