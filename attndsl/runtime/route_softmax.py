"""The softmax of routes, and the keys that conditions leave in some rows, in torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attndsl.runtime.route_places import aligned


def some_keys(holds: Tensor, count: int) -> slice:
    """The keys from the first to the last for which a condition holds in some row; at least one of `count`.

    holds: bool [batch, heads, rows, count or 1].
    """
    if holds.shape[3] != count or not holds.numel():
        return slice(0, count)
    found = holds.flatten(0, 2).view(torch.uint8).amax(0).nonzero()  # many times as fast as any(0)
    first, last = (int(found[0]), int(found[-1])) if len(found) else (0, 0)
    return slice(first, min(last + 1, count))


def softmax(values: Tensor, condition: Any) -> Tensor:
    """Over the last dimension, where the condition holds; 0 elsewhere and in rows without any."""
    values = values if values.is_floating_point() else values.double()
    if condition is True:
        return torch.softmax(values, -1)
    values, condition = aligned([values, torch.as_tensor(condition)])
    weights = torch.where(condition, values, -torch.inf)
    highest = weights.amax(-1, keepdim=True)
    weights.sub_(highest.masked_fill_(highest == -torch.inf, 0.0)).exp_()
    total = weights.sum(-1, keepdim=True)
    return weights.div_(total.masked_fill_(total == 0, 1.0))
