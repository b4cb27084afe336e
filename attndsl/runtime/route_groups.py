"""Pools over tokens that have something in common, in torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

REDUCE = {"mean": "sum", "sum": "sum", "max": "amax", "min": "amin"}
_JOIN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": torch.add,
    "sum": torch.add,
    "max": torch.maximum,
    "min": torch.minimum,
}
NEUTRAL = {"mean": 0.0, "sum": 0.0, "max": -torch.inf, "min": torch.inf}


def pooled_where(values: Any, holds: Tensor, kind: str) -> Tensor:
    """[.., 1, channels] of values [.., tokens, channels]. holds: bool [.., tokens, 1]."""
    held = torch.where(holds, torch.as_tensor(values, device=holds.device), NEUTRAL[kind])
    if not held.shape[2]:
        return held.new_full((*held.shape[:2], 1, held.shape[3]), NEUTRAL[kind])
    if kind in ("max", "min"):
        return held.amax(2, keepdim=True) if kind == "max" else held.amin(2, keepdim=True)
    total = held.sum(2, keepdim=True)
    return total / holds.sum(2, keepdim=True).clamp(min=1) if kind == "mean" else total


def pooled_parts(parts: Iterable[tuple[Any, Tensor]], kind: str) -> Tensor:
    """As `pooled_where`, of values and what holds for them, some tokens at a time."""
    found: Tensor | None = None
    count: Any = 0
    for values, holds in parts:
        part = pooled_where(values, holds, "sum" if kind == "mean" else kind)
        count = count + holds.sum(2, keepdim=True)
        found = part if found is None else _JOIN[kind](found, part)
    assert found is not None, "there is a part"
    return found / count.clamp(min=1) if kind == "mean" else found


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


@dataclass(frozen=True)
class Numbers:
    """Some integers for each head. first: the smallest there is. chosen: bool [batch, heads, integers]."""

    first: int
    chosen: Tensor

    def holds(self, numbers: Tensor) -> Tensor:
        """Which of the numbers [.., rows, keys] these are, bool [batch, heads, rows, keys]."""
        place = numbers - self.first
        inside = (place >= 0) & (place < self.chosen.shape[2])
        batch, heads, count = self.chosen.shape
        shape = batch, heads, *place.shape[2:]
        place = place.clamp(0, count - 1).expand(shape).flatten(2)
        return self.chosen.to(place.device).gather(2, place).view(shape) & inside


def top_numbers(parts: Iterable[tuple[Any, Tensor]], count: int) -> Numbers:
    """The `count` integers with the largest sums. parts: values and their integers, [.., rows, keys] each."""
    sums: Tensor | None = None
    first = 0
    for values, numbers in parts:
        if not numbers.numel():
            continue
        values = torch.as_tensor(values, device=numbers.device)
        values = values if values.is_floating_point() else values.double()
        shape = np.broadcast_shapes(values.shape, numbers.shape)
        values, numbers = values.expand(shape), numbers.expand(shape)
        own = int(numbers.min())
        part = values.new_full((*values.shape[:2], int(numbers.max()) - own + 1), -torch.inf)
        part.scatter_reduce_(2, (numbers - own).flatten(2), torch.zeros_like(values).flatten(2), "amax")
        part.scatter_add_(2, (numbers - own).flatten(2), values.flatten(2))
        sums, first = (part, own) if sums is None else _added(sums, first, part, own)
    if sums is None:
        return Numbers(0, torch.zeros(1, 1, 1, dtype=torch.bool))
    places = sums.topk(min(max(count, 0), sums.shape[2]), dim=2).indices
    chosen = torch.zeros(sums.shape, dtype=torch.bool, device=sums.device).scatter_(2, places, True)
    return Numbers(first, chosen & (sums > -torch.inf))


def _added(sums: Tensor, first: int, part: Tensor, own: int) -> tuple[Tensor, int]:
    """The sums of integers from `first` on and those from `own` on, -inf where there is none of either."""
    start, end = min(first, own), max(first + sums.shape[2], own + part.shape[2])
    wide = [
        torch.nn.functional.pad(each, (at - start, end - at - each.shape[2]), value=-torch.inf)
        for each, at in ((sums, first), (part, own))
    ]
    found = [torch.where(each > -torch.inf, each, 0.0) for each in wide]
    exists = (wide[0] > -torch.inf) | (wide[1] > -torch.inf)
    return torch.where(exists, found[0] + found[1], -torch.inf), start
