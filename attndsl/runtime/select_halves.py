"""The rule `halves`: a search over a row that looks at few of its scores, in torch.

The entries that take part are cut into n groups. Again and again each group is cut in two, and of all halves
the n with the largest first entries go on, until groups are single entries: those are kept. Source: H. Lee et
al., hierarchically pruned attention, 2024, arXiv:2406.09827.
"""

from __future__ import annotations

import torch
from torch import Tensor


def halves(scores: Tensor, taking_part: Tensor, count: int) -> Tensor:
    """Bool like scores [.., rows, entries]: at most `count` of each row, or all that there are."""
    rows = scores.flatten(0, -2)
    present = taking_part.flatten(0, -2)
    places = torch.argsort((~present).byte(), dim=-1, stable=True)
    total = present.sum(-1, keepdim=True)
    if not count or not rows.numel():
        return torch.zeros_like(taking_part)
    starts, sizes = _groups(total, count)
    in_order = rows.gather(-1, places)
    while bool((sizes > 1).any()):
        starts, sizes = _best_halves(in_order, starts, sizes, count)
    kept = torch.zeros(rows.shape, dtype=torch.int32, device=rows.device)
    kept.scatter_add_(-1, places.gather(-1, starts), (sizes > 0).int())
    return (kept > 0).view(scores.shape)


def _groups(total: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first entry of each group and its length. Lengths differ by 1 at most, and may be 0."""
    borders = torch.arange(count + 1, device=total.device) * total // count
    return borders[:, :-1].clamp(max=(total - 1).clamp(min=0)), borders[:, 1:] - borders[:, :-1]


def _best_halves(scores: Tensor, starts: Tensor, sizes: Tensor, count: int) -> tuple[Tensor, Tensor]:
    first = sizes // 2  # of a single entry the first half is empty
    starts = torch.stack([starts, starts + first], -1).flatten(-2)
    sizes = torch.stack([first, sizes - first], -1).flatten(-2)
    worth = torch.where(sizes > 0, scores.gather(-1, starts), -torch.inf)
    best = worth.topk(count, dim=-1).indices
    return starts.gather(-1, best), sizes.gather(-1, best)
