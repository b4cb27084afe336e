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


def top_lists(scores: Tensor, count: int, always: Tensor | None, columns: slice, keys: int) -> Lists:
    """The `count` largest scores of each row that are not -inf, and what is always chosen.

    scores: [batch, heads, rows, columns], of some of the keys; overwritten. always: lists of keys whose
    scores are -inf, padded with -1, one per row; those of one head or element of a batch may stand for all.
    """
    values, places = _largest(scores, min(count, scores.shape[-1]))
    found = (places + columns.start).masked_fill_(values == -torch.inf, keys).int()
    if always is not None:
        added = torch.where(always < 0, keys, always).expand(*scores.shape[:3], always.shape[-1])
        found = torch.cat([found, added], -1)
    found = found.sort(-1).values
    listed = found < keys
    return found.masked_fill_(~listed, -1), listed.sum(-1, dtype=torch.int32)


def widened(chosen: Tensor, columns: slice, keys: int) -> Tensor:
    """Among so many keys what is chosen of some."""
    return torch.nn.functional.pad(chosen, (columns.start, keys - columns.stop))


FEW = 4
"""So many largest entries are found one after the other, where torch would sort rows for them."""


def _largest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest of each row and their places, in any order.

    On a CPU torch.topk partitions a row unless 64 * count entries fit into it, which takes twice as long as a
    few searches.
    """
    keys = scores.shape[-1]
    if not 0 < count <= FEW or 64 * count <= keys or scores.device.type != "cpu":
        return scores.topk(count, dim=-1, sorted=False)
    rest = scores.contiguous()
    first = torch.arange(0, rest.numel(), keys).view(rest.shape[:-1])
    found = [rest.max(-1)]
    while len(found) < count:
        rest.view(-1).index_fill_(0, (first + found[-1].indices).flatten(), -torch.inf)
        found.append(rest.max(-1))
    return torch.stack([each.values for each in found], -1), torch.stack([each.indices for each in found], -1)


def joined(parts: list[Lists]) -> Lists:
    """The lists of consecutive rows as one."""
    most = max(indices.shape[-1] for indices, _ in parts)
    padded = [torch.nn.functional.pad(each, (0, most - each.shape[-1]), value=-1) for each, _ in parts]
    indices, counts = torch.cat(padded, 2), torch.cat([each for _, each in parts], 2)
    longest = int(counts.max()) if counts.numel() else 0
    return indices[..., :longest].contiguous(), counts
