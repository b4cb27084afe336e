"""The rules of routes in torch: which entries of each pool of scores are kept.

Scores are [.., pools, entries]; entries that take no part are -inf. Rules do not depend on the order of equal
scores, except that where equals compete for the last places any of them may win.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Number = Any
"""A Python number, or a tensor with one per pool that broadcasts to the scores."""


def kept(name: str, scores: Tensor, preferred: Tensor | None, arguments: list[Number]) -> Tensor:
    """Bool like scores: the entries that a rule keeps. preferred: those that come first, and count."""
    taking_part = scores > -torch.inf
    if name == "threshold":
        least = arguments[1] if len(arguments) > 1 else 0
        return _at_least(scores >= arguments[0], scores, preferred, least) & taking_part
    if name == "drop":
        return _drop(scores, taking_part, arguments[0])
    if name == "top" and isinstance(arguments[0], int):
        return _top(scores, preferred, arguments[0]) & taking_part
    order = _order(scores, preferred)
    return _RANKED[name](scores, preferred, order, arguments) & taking_part


def _order(scores: Tensor, preferred: Tensor | None) -> Tensor:
    """The entries from the largest to the smallest, preferred ones first."""
    order = scores.sort(dim=-1, descending=True, stable=True).indices
    if preferred is None:
        return order
    later = (~preferred).expand(scores.shape).gather(-1, order)
    return order.gather(-1, later.sort(dim=-1, stable=True).indices)


def _top(scores: Tensor, preferred: Tensor | None, count: int) -> Tensor:
    if preferred is not None:
        scores = torch.where(preferred, torch.inf, scores)
    count = min(count, scores.shape[-1])
    places = scores.topk(count, dim=-1, sorted=False).indices
    return torch.zeros(scores.shape, dtype=torch.bool, device=scores.device).scatter_(-1, places, True)


def _drop(scores: Tensor, taking_part: Tensor, count: Number) -> Tensor:
    """All but the `count` smallest of those that take part, and what equals the largest dropped."""
    ascending = torch.where(taking_part, scores, torch.inf).sort(dim=-1).values
    last = torch.as_tensor(count, device=scores.device).clamp(max=scores.shape[-1]) - 1
    largest = ascending.gather(-1, last.clamp(min=0).expand(*scores.shape[:-1], 1))
    return taking_part & ((scores >= largest) | (last < 0))


def _ranks(scores: Tensor, preferred: Tensor | None, order: Tensor, arguments: list[Number]) -> Tensor:
    first, last = arguments
    return _scattered(order, lambda rank: (rank >= first) & (rank < last))


def _ranked_top(scores: Tensor, preferred: Tensor | None, order: Tensor, arguments: list[Number]) -> Tensor:
    return _scattered(order, lambda rank: rank < arguments[0])


def _ratio(scores: Tensor, preferred: Tensor | None, order: Tensor, arguments: list[Number]) -> Tensor:
    entries = (scores > -torch.inf).sum(-1, keepdim=True)
    least = arguments[1] if len(arguments) > 1 else 0
    count = (entries * torch.as_tensor(arguments[0], dtype=torch.float64)).long().clamp(min=least)
    return _scattered(order, lambda rank: rank < count)


def _nucleus(scores: Tensor, preferred: Tensor | None, order: Tensor, arguments: list[Number]) -> Tensor:
    """The fewest of the order whose sum reaches a part of the sum of all."""
    mass = torch.where(scores > -torch.inf, scores, 0.0).gather(-1, order)
    reached = mass.cumsum(-1)
    before = reached - mass < arguments[0] * reached[..., -1:]
    count = before.sum(-1, keepdim=True)
    if preferred is not None:
        count = torch.maximum(count, (preferred & (scores > -torch.inf)).sum(-1, keepdim=True))
    if len(arguments) > 1:
        count = torch.clamp(count, min=arguments[1])
    return _scattered(order, lambda rank: rank < count)


def _spread(scores: Tensor, preferred: Tensor | None, order: Tensor, arguments: list[Number]) -> Tensor:
    """Nucleus of the scores moved and scaled to run from 0 to 1 in each pool."""
    lowest = torch.where(scores > -torch.inf, scores, torch.inf).amin(-1, keepdim=True)
    width = scores.amax(-1, keepdim=True) - lowest
    moved = (scores - lowest) / torch.where(width > 0, width, 1.0)
    return _nucleus(moved, preferred, order, arguments)


def _at_least(found: Tensor, scores: Tensor, preferred: Tensor | None, least: int) -> Tensor:
    found = found if preferred is None else found | preferred
    return found | _top(scores, preferred, least) if least else found


def _scattered(order: Tensor, chosen: Callable[[Tensor], Tensor]) -> Tensor:
    """Whether each entry is chosen by its rank in the order."""
    rank = torch.arange(order.shape[-1], device=order.device)
    by_rank = torch.as_tensor(chosen(rank)).expand(order.shape)
    return torch.zeros_like(by_rank).scatter(-1, order, by_rank)


_RANKED = {"top": _ranked_top, "ranks": _ranks, "ratio": _ratio, "nucleus": _nucleus, "spread": _spread}
