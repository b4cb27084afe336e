"""Lists of chosen keys from scores: those of a mask, or the largest few directly."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from attndsl.runtime.select_top import has_kernel, top_rows

Lists = tuple[Tensor, Tensor]
"""int32 [batch, heads, rows, most], ascending, padded with -1, and how many, int32 [batch, heads, rows]."""


def lists_of(chosen: Tensor) -> Lists:
    """The chosen keys of each row. chosen: bool [batch, heads, rows, keys]."""
    counts = chosen.sum(-1, dtype=torch.int32)
    most = int(counts.max()) if counts.numel() else 0
    alike = torch.zeros((1, 1, 1, 1), device=chosen.device).expand(chosen.shape)
    if has_kernel(alike):
        return top_rows(alike, (~chosen).view(torch.uint8), None, None, 0, most)
    places = chosen.flatten(0, 2).nonzero()
    row, key = places[:, 0], places[:, 1]
    flat = counts.flatten().long()
    starts = flat.cumsum(0) - flat
    indices = torch.full((len(flat), most), -1, dtype=torch.int32, device=chosen.device)
    indices[row, torch.arange(len(row), device=chosen.device) - starts[row]] = key.int()
    return indices.view(*chosen.shape[:3], most), counts


def top_lists(scores: Tensor, count: int, always: Tensor | None, columns: slice, keys: int) -> Lists:
    """The `count` largest scores of each row that are not -inf, and what is always chosen.

    scores: [batch, heads, rows, columns], of some of the keys. always: lists of keys whose scores are -inf,
    padded with -1, one per row; those of one head or element of a batch may stand for all.
    """
    values, places = scores.topk(min(count, scores.shape[-1]), dim=-1, sorted=False)
    found = torch.where(values > -torch.inf, places + columns.start, keys).int()
    if always is not None:
        added = torch.where(always < 0, keys, always).expand(*scores.shape[:3], always.shape[-1])
        found = torch.cat([found, added], -1)
    found = found.sort(-1).values
    listed = found < keys
    return torch.where(listed, found, -1), listed.sum(-1, dtype=torch.int32)


def widened(chosen: Tensor, columns: slice, keys: int) -> Tensor:
    """Among so many keys what is chosen of some."""
    return torch.nn.functional.pad(chosen, (columns.start, keys - columns.stop))


def joined(rows: int, parts: Iterable[tuple[slice, Lists]]) -> Lists:
    """The lists of so many rows from those of some rows at a time.

    They are copied into one piece of memory as they come: many small ones, each between the large ones that
    scores take and leave, would keep the latter from being used again.
    """
    found: Lists | None = None
    for at, (indices, counts) in parts:
        if counts.shape[2] == rows:
            found = indices, counts
            break
        if found is None:
            shape = *counts.shape[:2], rows
            found = indices.new_full((*shape, indices.shape[3]), -1), counts.new_zeros(shape)
        more = indices.shape[3] - found[0].shape[3]
        if more > 0:
            found = torch.nn.functional.pad(found[0], (0, more), value=-1), found[1]
        found[0][:, :, at, : indices.shape[3]] = indices
        found[1][:, :, at] = counts
    assert found is not None, "there is a part"
    longest = int(found[1].max()) if found[1].numel() else 0
    return found[0][..., :longest].contiguous(), found[1]
