"""Pooling in torch: units of tokens, or of blocks, become one value each."""

from __future__ import annotations

import torch
from torch import Tensor


def pooled(values: Tensor, members: Tensor | None, kind: str) -> Tensor:
    """One value per unit. values: [batch, heads, places, channels]; those of each unit one after the other.

    members: [units, most], -1 at places that are none; None for one unit of all places. Places at the end may
    be left out where they are none.
    """
    if members is None:
        return reduced(values, kind, 2).unsqueeze(2)
    units, most = members.shape
    if values.shape[2] < units * most and kind.startswith("stack"):
        values = torch.nn.functional.pad(values, (0, 0, 0, units * most - values.shape[2]))
    elif values.shape[2] < units * most:
        return _with_short_unit(values, members, kind)
    values = split(values, 2, units)
    exists = (members >= 0).view(1, 1, units, most, 1)
    if bool(exists.all()):
        return _stacked(values, kind) if kind.startswith("stack") else reduced(values, kind, 3)
    if kind == "mean":
        return torch.where(exists, values, 0).sum(3) / exists.sum(3)
    neutral = {"max": -torch.inf, "min": torch.inf}.get(kind, 0.0)
    values = torch.where(exists, values, neutral)
    return _stacked(values, kind) if kind.startswith("stack") else reduced(values, kind, 3)


def _with_short_unit(values: Tensor, members: Tensor, kind: str) -> Tensor:
    """The same where the last unit has fewer places than all others, which nothing stands for."""
    most = members.shape[1]
    whole = values.shape[2] // most
    last = reduced(values[:, :, whole * most :], kind, 2).unsqueeze(2)
    if not whole:
        return last
    return torch.cat([pooled(values[:, :, : whole * most], members[:whole], kind), last], 2)


def split(values: Tensor, dim: int, parts: int) -> Tensor:
    """The tensor with a dimension cut into so many parts."""
    sizes = values.shape
    return values.reshape(*sizes[:dim], parts, sizes[dim] // parts, *sizes[dim + 1 :])


def _stacked(values: Tensor, kind: str) -> Tensor:
    """The channels of all places of a unit, one place after the other."""
    return (values.flip(3) if kind == "stack_reversed" else values).flatten(3)


def reduced(values: Tensor, kind: str, dim: int) -> Tensor:
    """The mean, sum, largest or smallest along a dimension, which goes away."""
    match kind:
        case "mean":
            return (values if values.is_floating_point() else values.double()).mean(dim)
        case "sum":
            return values.sum(dim)
        case "max":
            return values.amax(dim)
    return values.amin(dim)
