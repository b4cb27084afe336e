"""The rules of routes in torch: which entries of each pool of scores are kept.

Scores are [.., pools, entries]; entries that take no part are -inf. Rules do not depend on the order of equal
scores, except that where equals compete for the last places any of them may win.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attndsl.runtime.select_halves import halves

Number = Any
"""A Python number, or a tensor with one per pool that broadcasts to the scores."""


def kept(name: str, scores: Tensor, preferred: Tensor | None, arguments: list[Number]) -> Tensor:
    """Bool like scores: the entries that a rule keeps. preferred: those that come first, and count."""
    taking_part = scores > -torch.inf
    preferred = None if preferred is None else preferred & taking_part
    if name == "halves":
        return halves(scores, taking_part, int(arguments[0]))
    if name == "threshold" and preferred is None and len(arguments) == 1:
        return torch.ge(scores, arguments[0]) & taking_part
    if name == "drop":
        return _drop(scores, taking_part, arguments[0])
    if name == "top" and is_few(preferred, arguments[0]):
        return _top(scores, preferred, arguments[0]) & taking_part
    order = _order(scores, preferred)
    first = 0 if preferred is None else preferred.sum(-1, keepdim=True)
    least = first + (arguments[1] if len(arguments) > 1 and name != "ranks" else 0)
    return _RANKED[name](scores, order, arguments, least) & taking_part


def is_few(preferred: Tensor | None, count: Number) -> bool:
    """Whether a number of largest entries is one for all pools, and all preferred ones are among them."""
    if not isinstance(count, int):
        return False
    return preferred is None or int(preferred.sum(-1).max()) <= count


def _order(scores: Tensor, preferred: Tensor | None) -> Tensor:
    """The entries from the largest to the smallest, preferred ones first."""
    order = scores.sort(dim=-1, descending=True, stable=True).indices
    if preferred is None:
        return order
    later = (~preferred).expand(scores.shape).gather(-1, order)
    return order.gather(-1, later.sort(dim=-1, stable=True).indices)


def _top(scores: Tensor, preferred: Tensor | None, count: int) -> Tensor:
    places = first_of_all(scores, preferred).topk(min(count, scores.shape[-1]), dim=-1, sorted=False).indices
    return torch.zeros(scores.shape, dtype=torch.bool, device=scores.device).scatter_(-1, places, True)


def first_of_all(scores: Tensor, preferred: Tensor | None) -> Tensor:
    """The scores, infinite where an entry that takes part is preferred."""
    if preferred is None:
        return scores
    return scores.masked_fill(preferred & (scores > -torch.inf), torch.inf)


def _drop(scores: Tensor, taking_part: Tensor, part: Number) -> Tensor:
    """All but a part of the smallest of those that take part, and what equals the largest dropped."""
    ascending = torch.where(taking_part, scores, torch.inf).sort(dim=-1).values
    last = _part(taking_part, part) - 1
    largest = ascending.gather(-1, last.clamp(min=0))
    return taking_part & ((scores >= largest) | (last < 0))


def _part(taking_part: Tensor, part: Number) -> Tensor:
    """int(part * entries) of each pool."""
    return (taking_part.sum(-1, keepdim=True) * torch.as_tensor(part, dtype=torch.float64)).long()


def _ranks(scores: Tensor, order: Tensor, arguments: list[Number], least: Number) -> Tensor:
    first, last = arguments
    return _by_rank(order, lambda rank: (rank >= first) & (rank < last))


def _ranked_top(scores: Tensor, order: Tensor, arguments: list[Number], least: Number) -> Tensor:
    return _by_rank(order, lambda rank: rank < arguments[0])


def _ratio(scores: Tensor, order: Tensor, arguments: list[Number], least: Number) -> Tensor:
    return _first(order, _part(scores > -torch.inf, arguments[0]), least)


def _threshold(scores: Tensor, order: Tensor, arguments: list[Number], least: Number) -> Tensor:
    return torch.ge(scores, arguments[0]) | _first(order, 0, least)


def _nucleus(scores: Tensor, order: Tensor, arguments: list[Number], least: Number) -> Tensor:
    """The fewest of the order whose sum reaches a part of the sum of all."""
    mass = _in_order(scores, order)
    reached = mass.cumsum(-1)
    return _first(order, (reached - mass < arguments[0] * reached[..., -1:]).sum(-1, keepdim=True), least)


def _within(scores: Tensor, order: Tensor, arguments: list[Number], least: Number) -> Tensor:
    """The most of the order whose sum does not exceed a part of the sum of all."""
    reached = _in_order(scores, order).cumsum(-1)
    return _first(order, (reached <= arguments[0] * reached[..., -1:]).sum(-1, keepdim=True), least)


def _spread(scores: Tensor, order: Tensor, arguments: list[Number], least: Number) -> Tensor:
    """Nucleus of the scores moved and scaled to run from 0 to 1 in each pool."""
    lowest = torch.where(scores > -torch.inf, scores, torch.inf).amin(-1, keepdim=True)
    width = scores.amax(-1, keepdim=True) - lowest
    return _nucleus((scores - lowest) / torch.where(width > 0, width, 1.0), order, arguments, least)


def _in_order(scores: Tensor, order: Tensor) -> Tensor:
    """The scores by rank, 0 where an entry takes no part."""
    return torch.where(scores > -torch.inf, scores, 0.0).gather(-1, order)


def _first(order: Tensor, count: Number, least: Number) -> Tensor:
    """The first of the order, but no fewer than `least`."""
    count = torch.maximum(torch.as_tensor(count), torch.as_tensor(least, device=order.device))
    return _by_rank(order, lambda rank: rank < count)


def _by_rank(order: Tensor, chosen: Callable[[Tensor], Tensor]) -> Tensor:
    """Whether each entry is chosen by its rank in the order."""
    rank = torch.arange(order.shape[-1], device=order.device)
    by_rank = torch.as_tensor(chosen(rank)).expand(order.shape)
    return torch.zeros_like(by_rank).scatter(-1, order, by_rank)


_RANKED = {
    "top": _ranked_top, "ranks": _ranks, "ratio": _ratio, "threshold": _threshold, "nucleus": _nucleus,
    "within": _within, "spread": _spread,
}  # fmt: skip
