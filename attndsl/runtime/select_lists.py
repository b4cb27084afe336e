"""Lists of chosen keys from scores: those of a mask, or the largest few directly."""

from __future__ import annotations

import torch
from torch import Tensor

Lists = tuple[Tensor, Tensor]
"""int32 [batch, heads, rows, most], ascending, padded with -1, and how many, int32 [batch, heads, rows]."""


def lists_of(chosen: Tensor) -> Lists:
    """The chosen keys of each row. chosen: bool [batch, heads, rows, keys]."""
    counts = chosen.sum(-1, dtype=torch.int32)
    most = int(counts.max()) if counts.numel() else 0
    places = chosen.flatten(0, 2).nonzero()
    row, key = places[:, 0], places[:, 1]
    flat = counts.flatten().long()
    starts = flat.cumsum(0) - flat
    indices = torch.full((len(flat), most), -1, dtype=torch.int32, device=chosen.device)
    indices[row, torch.arange(len(row), device=chosen.device) - starts[row]] = key.int()
    return indices.view(*chosen.shape[:3], most), counts


def top_lists(scores: Tensor, count: int, always: Tensor | None) -> Lists:
    """The `count` largest scores of each row that are not -inf, and what is always chosen.

    scores: [batch, heads, rows, keys]. always: lists of keys whose scores are -inf, padded with -1, one per
    row; those of one head or element of a batch may stand for all.
    """
    keys = scores.shape[-1]
    values, places = scores.topk(min(count, keys), dim=-1, sorted=False)
    found = torch.where(values > -torch.inf, places, keys).int()
    if always is not None:
        added = torch.where(always < 0, keys, always).expand(*scores.shape[:3], always.shape[-1])
        found = torch.cat([found, added], -1)
    found = found.sort(-1).values
    counts = (found < keys).sum(-1, dtype=torch.int32)
    return torch.where(found < keys, found, -1), counts


def joined(parts: list[Lists]) -> Lists:
    """The lists of consecutive rows as one."""
    most = max(indices.shape[-1] for indices, _ in parts)
    padded = [torch.nn.functional.pad(each, (0, most - each.shape[-1]), value=-1) for each, _ in parts]
    indices, counts = torch.cat(padded, 2), torch.cat([each for _, each in parts], 2)
    longest = int(counts.max()) if counts.numel() else 0
    return indices[..., :longest].contiguous(), counts
