"""The expressions of a route that pool tokens by conditions and integers, for `route_scores.RouteScores`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from attndsl.ir.expr import Apply, Const, Expr, Side
from attndsl.ir.route_groups import PoolAlike, PoolWhere, TopAlike
from attndsl.passes.route_grains import TOKEN, Grain, operand_context
from attndsl.runtime.route_groups import Numbers, pooled_alike, pooled_parts, pooled_where, top_numbers
from attndsl.runtime.route_places import ALL, Place, Units, aligned, transposed
from attndsl.runtime.route_units import SideUnits

TOKENS = Grain(TOKEN, TOKEN)
ENTRIES = 2**20
"""Entries of the map of a head that are summed at a time."""


class GroupScores:
    """evaluate: an expression at a place. grain: what an expression has one of."""

    def __init__(
        self, evaluate: Callable[[Expr, Place], Any], grain: Callable[[Expr], Grain],
        units: Mapping[Side, SideUnits], device: torch.device,
    ) -> None:  # fmt: skip
        self._evaluate, self._grain, self._units, self._device = evaluate, grain, units, device
        self._chosen: dict[TopAlike, Numbers] = {}

    def value(self, node: PoolWhere | PoolAlike | TopAlike, place: Place) -> Tensor:
        """The value of a pool, or whether integers are among those with the largest sums."""
        match node:
            case PoolWhere():
                return self._pool_where(node, place)
            case PoolAlike():
                numbers = self._of_tokens(node.number, place, "k")
                return self._over_keys(node, place, numbers, pooled_alike)
        if node not in self._chosen:
            self._chosen[node] = self._top_numbers(node)
        return self._chosen[node].holds(self._numbers(node, place.rows))

    def _pool_where(self, node: PoolWhere, place: Place) -> Tensor:
        inner = operand_context(node, place.grain)
        if node.side == "k":
            here = Place(inner, place.rows)
            return self._over_keys(node, here, self._of_tokens(node.condition, here, "k"), pooled_where)
        holds = self._of_tokens(node.condition, Place(inner, ALL), "q")
        rows = holds.flatten(0, 1).any(0).squeeze(-1).nonzero().squeeze(-1)
        step = max(1, ENTRIES // max(1, self._units["k"].count(inner.key or "")))
        parts = (
            aligned([self._evaluate(node.operand, Place(inner, each)), holds[:, :, each]])
            for each in (rows[start : start + step] for start in range(0, max(len(rows), 1), step))
        )
        return pooled_parts(((value, held) for value, held in parts), node.kind)

    def _over_keys(
        self, node: PoolWhere | PoolAlike, place: Place, of_keys: Tensor, pool: Callable[..., Tensor]
    ) -> Tensor:
        """A pool over keys. of_keys: what is said of each, [.., 1, keys]."""
        value, of_keys = aligned([self._evaluate(node.operand, place), transposed(of_keys)])
        if self._grain(node.operand).vector:
            return pool(value, of_keys, node.kind)
        value = transposed(value) if isinstance(value, Tensor) and value.ndim == 4 else value
        return transposed(pool(value, of_keys, node.kind))

    def _top_numbers(self, node: TopAlike) -> Numbers:
        """The numbers with the largest sums. Rows at which the operand is 0 add nothing, and are left out."""
        operand, rows = node.operand, torch.arange(self._units["q"].count(""), device=self._device)
        match operand:
            case Apply("select", (condition, value, Const(0.0))) if self._grain(condition).key is None:
                holds = self._of_tokens(condition, Place(TOKENS, ALL), "q")
                if holds.shape[:2] == (1, 1):
                    operand, rows = value, rows[holds.flatten()]
        step = max(1, ENTRIES // max(1, self._units["k"].count("")))
        chunks = [rows[start : start + step] for start in range(0, len(rows), step)]
        parts = (self._part(operand, node, each) for each in chunks)
        return top_numbers(parts, int(self._evaluate(node.count, Place(TOKENS, ALL))))

    def _part(self, operand: Expr, node: TopAlike, rows: Tensor) -> tuple[Any, Tensor]:
        """Values and their integers on some rows."""
        value, numbers = aligned([self._evaluate(operand, Place(TOKENS, rows)), self._numbers(node, rows)])
        return value, numbers

    def _numbers(self, node: TopAlike, rows: Units) -> Tensor:
        return torch.as_tensor(self._evaluate(node.number, Place(TOKENS, rows)), device=self._device)

    def _of_tokens(self, root: Expr, place: Place, side: Side) -> Tensor:
        """What is said of each token of one side, also where it is the same for all."""
        value = torch.as_tensor(self._evaluate(root, place), device=self._device)
        tokens = self._units[side].count("")
        return value.expand(*(value.shape[:2] or (1, 1)), *((tokens, 1) if side == "q" else (1, tokens)))
