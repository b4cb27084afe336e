"""The conditions of a route on some rows of its map, evaluated once per block where they speak of no more."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from attndsl.ir.expr import FALSE, TRUE, Expr
from attndsl.ir.route import BlockIndex, Route
from attndsl.passes.route_grains import TOKEN, Grain, grains
from attndsl.runtime.route_places import ALL, Units, aligned, of_keys, with_heads
from attndsl.runtime.route_scores import RouteScores
from attndsl.runtime.route_softmax import some_keys
from attndsl.runtime.select_lists import lists_of

NEUTRAL = TRUE, FALSE, FALSE
"""The conditions among, prefer and always that change nothing."""


@dataclass(frozen=True)
class Conditions:
    """Phrases of a route as bool [batch or 1, heads or 1, rows or blocks or 1, keys or 1]; None if left out.

    place: for each row the one of its block among them, where they are evaluated by block.
    """

    among: Tensor | None
    prefer: Tensor | None
    always: Tensor | None
    place: Tensor | None

    def on_rows(self, condition: Tensor, keys: Units = ALL) -> Tensor:
        """One of them, with its rows and some of its keys."""
        condition = of_keys(condition, keys)
        by_block = self.place is not None and condition.shape[2] > 1
        return condition[:, :, self.place] if by_block else condition

    @property
    def given(self) -> list[Tensor]:
        """Those that are not left out."""
        return [each for each in (self.among, self.prefer, self.always) if each is not None]

    @cached_property
    def excluded(self) -> Tensor | None:
        """What does not compete, by row or block: what is no candidate, and what is kept anyway."""
        among, always = self.among, self.always
        if among is None or always is None:
            return always if among is None else ~among
        among, always = aligned([among, always])
        excluded: Tensor = ~among | always
        return excluded

    def competing(self, keys: int) -> slice:
        """The keys, of so many, from the first to the last that compete in some row; at least one."""
        if self.excluded is None:
            return slice(0, keys)
        competing = self.among if self.among is not None and self.always is None else ~self.excluded
        return some_keys(competing, keys)

    @cached_property
    def first(self) -> Tensor | None:
        """What comes first of what competes, by row or block."""
        if self.prefer is None or self.excluded is None:
            return self.prefer
        prefer, excluded = aligned([self.prefer, self.excluded])
        first: Tensor = prefer & ~excluded
        return first

    def most_first(self, keys: int) -> int:
        """How many of so many keys come first in a row, at most."""
        if self.first is None:
            return 0
        return int(self.first.expand(*self.first.shape[:3], keys).sum(-1).max())

    def classes(self, keys: slice, heads: int) -> Tensor | None:
        """Of some keys, uint8 [batch or 1, heads, rows or blocks or 1, keys]: 0 for those that compete.

        1 for those that do not, 2 for those that come first. None if all are alike.
        """
        excluded, first = (
            None if each is None else with_heads(of_keys(each, keys), heads).view(torch.uint8)
            for each in (self.excluded, self.first)
        )
        found = excluded if first is None else first * 2 if excluded is None else excluded + first * 2
        return None if found is None else found.expand(*found.shape[:3], keys.stop - keys.start)

    def always_lists(self, rows: int, keys: int) -> Tensor | None:
        """Lists of the keys that are always kept, [batch or 1, heads or 1, rows or blocks, most]."""
        if self.always is None:
            return None
        own_rows = self.always.shape[2] if self.place is not None else rows
        return lists_of(self.always.expand(*self.always.shape[:2], own_rows, keys))[0]


def conditions(scores: RouteScores, route: Route, rows: Units) -> Conditions:
    """The conditions of a route on some rows."""
    roots = route.among, route.prefer, route.always
    block = _shared_block(route, roots)
    place: Tensor | None = None
    at, grain = rows, scores.grain
    if block is not None:
        numbers = scores.units["q"].outer(TOKEN, block)[rows]
        at, place = torch.unique(numbers, return_inverse=True)
        grain = Grain(block, route.keys)
    among, prefer, always = (
        None if root is neutral else _evaluated(scores, root, at, grain)
        for root, neutral in zip(roots, NEUTRAL, strict=True)
    )
    return Conditions(among, prefer, always, place)


def _shared_block(route: Route, roots: tuple[Expr, ...]) -> str | None:
    """The blocks whose number is all that conditions know of queries, where rows are queries."""
    nodes = {node for root in roots for node in root.mentioned}
    names = {node.blocks for node in nodes if isinstance(node, BlockIndex) and node.side == "q"}
    by_token = any(grains(root, lambda _: None)[root].query is not None for root in roots)
    return names.pop() if route.queries == TOKEN and len(names) == 1 and not by_token else None


def _evaluated(scores: RouteScores, root: Expr, rows: Units, grain: Grain) -> Tensor:
    """A condition in four dimensions."""
    value = torch.as_tensor(scores.on_rows(root, rows, grain), device=scores.device)
    return value if value.ndim == 4 else value.expand(1, 1, 1, 1)
