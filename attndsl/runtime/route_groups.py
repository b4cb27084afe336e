"""Pools over tokens that have something in common, in torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

REDUCE = {"mean": "sum", "sum": "sum", "max": "amax", "min": "amin"}
NEUTRAL = {"mean": 0.0, "sum": 0.0, "max": -torch.inf, "min": torch.inf}


def pooled_where(values: Any, holds: Tensor, kind: str) -> Tensor:
    """[.., 1, channels] of values [.., tokens, channels]. holds: bool [.., tokens, 1]."""
    held = torch.where(holds, torch.as_tensor(values, device=holds.device), NEUTRAL[kind])
    if kind in ("max", "min"):
        return held.amax(2, keepdim=True) if kind == "max" else held.amin(2, keepdim=True)
    total = held.sum(2, keepdim=True)
    return total / holds.sum(2, keepdim=True).clamp(min=1) if kind == "mean" else total


def pooled_alike(values: Any, numbers: Tensor, kind: str) -> Tensor:
    """For each token the pool over those with its number. numbers: int [.., tokens, 1]."""
    values = torch.as_tensor(values, device=numbers.device)
    values = values if values.is_floating_point() else values.double()
    groups, place = torch.unique(numbers, return_inverse=True)
    shape = np.broadcast_shapes(values.shape, place.shape)
    values, place = values.expand(shape), place.expand(shape)
    total = _scattered(values, place, len(groups), kind)
    if kind == "mean":
        total = total / _scattered(torch.ones_like(values), place, len(groups), "sum").clamp(min=1)
    return total.gather(2, place)


def _scattered(values: Tensor, place: Tensor, groups: int, kind: str) -> Tensor:
    """[.., groups, channels] of values [.., tokens, channels]."""
    result = values.new_full((*values.shape[:2], groups, values.shape[3]), NEUTRAL[kind])
    return result.scatter_reduce_(2, place, values, REDUCE[kind])
