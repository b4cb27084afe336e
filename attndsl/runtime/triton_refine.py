"""Refines the lists of visited tiles by what the inputs hold, on the device and without waiting for it.

Of every input the smallest and largest value in each tile decide which listed tiles are EMPTY, which FULL. A
refined list has the same place for every owner tile, FULL tiles first, and what was dropped at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attndsl.codegen.triton_tokens import lanes_of
from attndsl.codegen.triton_visits import RESIDUAL_SHIFT
from attndsl.ir.expr import Expr, InputAt, Position
from attndsl.runtime.triton_intervals import Range, Truth, Value, truth
from attndsl.schedule.decide import conjuncts
from attndsl.schedule.schedule import Schedule
from attndsl.schedule.tiling import Tiling

Array = NDArray[Any]


class Refinement:
    """The lists of one kernel, on one device. owner: the side whose tiles programs own."""

    def __init__(
        self, schedule: Schedule, owner: str, records: Array, tiles: Array, device: torch.device
    ) -> None:
        self.residuals = schedule.residuals
        self.owner = owner
        self.maps, self.rows, _ = records.shape
        visited = schedule.kv_tiling if owner == "q" else schedule.q_tiling
        counts = (records[..., 2] - records[..., 0]).reshape(-1)
        entries = tiles[:-1]

        def move(array: Array) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        self.first = move(records[..., 0].reshape(-1).astype(np.int64))
        self.row = move(np.repeat(np.arange(len(counts)), counts))
        self.residual = move((entries >> RESIDUAL_SHIFT).astype(np.int64))
        self.other = move((entries & (2**RESIDUAL_SHIFT - 1)).astype(np.int64))
        self.cut = move((visited.counts < lanes_of(visited))[entries & (2**RESIDUAL_SHIFT - 1)])
        self.tables = {"q": move(_table(schedule.q_tiling)), "k": move(_table(schedule.kv_tiling))}

    def __call__(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`records` [batch or 1, maps, owner tiles, 3] and `tiles` for these inputs."""
        batched = [value.ndim == 2 for value in inputs.values()]
        ranges: dict[InputAt, Value] = {}
        residual = self._refined(inputs, ranges)
        batch = max((len(value) for value in inputs.values() if value.ndim == 2), default=1)
        return self._listed(residual.expand(batch if any(batched) else 1, -1))

    def _refined(self, inputs: Mapping[str, Tensor], ranges: dict[InputAt, Value]) -> Tensor:
        """The residual of every listed tile, int64 [batch or 1, listed tiles]; 0 for FULL, -1 for EMPTY."""

        def leaf(node: InputAt | Position) -> Value:
            assert isinstance(node, InputAt), "factors with coordinates are left out"
            if node not in ranges:
                ranges[node] = self._range(inputs[node.name], node.side)
            return ranges[node]

        refined = self.residual.unsqueeze(0)
        edge = torch.where(self.cut, len(self.residuals) + 1, 0)
        for number, predicate in enumerate(self.residuals, 1):
            known, whole = known_part(predicate)
            for factor in known:
                found = truth(factor, leaf)
                if found is not None:
                    refined = torch.where((self.residual == number) & ~found.may_hold, -1, refined)
            if whole:
                holds = _all_hold([truth(factor, leaf) for factor in known])
                if holds is not None:
                    refined = torch.where((self.residual == number) & holds & (refined >= 0), edge, refined)
        return refined

    def _range(self, value: Tensor, side: str) -> Value:
        """The smallest and largest value of an input in the tile of every listed pair."""
        tile = self.row % self.rows if (side == "q") == (self.owner == "q") else self.other
        rows = value.unsqueeze(0) if value.ndim == 1 else value
        held = rows[:, self.tables[side]]
        if value.dtype == torch.bool:
            return Truth(held.any(-1)[:, tile], (~held).any(-1)[:, tile])
        return Range(held.amin(-1)[:, tile], held.amax(-1)[:, tile])

    def _listed(self, residual: Tensor) -> dict[str, Tensor]:
        """The refined lists: the place of each tile is counted among its equals before it."""
        batch, entries = residual.shape
        full, partial = residual == 0, residual > 0
        fulls, partials = self._per_row(full), self._per_row(partial)
        place = torch.where(full, self._rank(full), fulls[:, self.row] + self._rank(partial))
        place = torch.where(residual >= 0, self.first[self.row] + place, entries)
        tiles = torch.zeros((batch, entries + 1), dtype=torch.int32, device=residual.device)
        tiles.scatter_(1, place, (self.other + (residual << RESIDUAL_SHIFT)).to(torch.int32))
        first = self.first + torch.arange(batch, device=residual.device).unsqueeze(1) * (entries + 1)
        records = torch.stack([first, first + fulls, first + fulls + partials], dim=-1)
        return {"tiles": tiles, "records": records.to(torch.int32)}

    def _per_row(self, chosen: Tensor) -> Tensor:
        """The number of chosen entries of each owner tile, [batch, maps * owner tiles]."""
        counts = torch.zeros((len(chosen), self.maps * self.rows), dtype=torch.int64, device=chosen.device)
        return counts.scatter_add_(1, self.row.expand_as(chosen), chosen.to(torch.int64))

    def _rank(self, chosen: Tensor) -> Tensor:
        """How many entries of the same owner tile are chosen before each entry."""
        before = torch.cumsum(chosen, dim=1) - chosen.to(torch.int64)
        padded = torch.nn.functional.pad(before, (0, 1))
        return before - padded[:, self.first][:, self.row]


def known_part(predicate: Expr) -> tuple[list[Expr], bool]:
    """The factors that mention inputs and no coordinates, and whether these are all factors."""
    factors = conjuncts(predicate)
    known = [factor for factor in factors if _is_about_inputs(factor)]
    return known, len(known) == len(factors)


def _is_about_inputs(factor: Expr) -> bool:
    kinds = {type(leaf) for leaf in factor.leaves}
    return InputAt in kinds and Position not in kinds


def _all_hold(found: Sequence[Truth | None]) -> Tensor | None:
    """Whether all conditions hold for certain; None where one is not known at all."""
    holds: Tensor | None = None
    for each in found:
        if each is None:
            return None
        holds = ~each.may_fail if holds is None else holds & ~each.may_fail
    return holds


def _table(tiling: Tiling) -> Array:
    """The tokens of every tile, int64 [tiles, capacity]; missing ones repeat the first."""
    tokens, _ = tiling.tokens()
    return np.where(tokens < 0, tokens[:, :1], tokens).astype(np.int64)
