"""A plan's tokens in rows, of which kernels take tiles: unit after unit, filled up.

All of it is computed on the tensors' device, in sizes that follow from shapes alone: the host never waits,
and CUDA graphs can capture it. No token moves; kernels are told where each row's token is, and -1 for
filling.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from attndsl.diagnostics import AttnUnsupportedError
from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import Head
from attndsl.ir.plan import Plan, unit_count
from attndsl.passes.placed import placed
from attndsl.runtime.plan_inputs import places_in


@dataclass(frozen=True, eq=False)
class Rows:
    """One side's tokens in rows.

    tokens: int32 [lists or 1, rows], -1 for filling. unit: int64 [lists or 1, rows / filled], the unit of
    each `filled` rows. natural: whether every row is the token of its own number, but for filling at the end.
    places: int32 [lists, tokens, most], the rows that each token stands in, where it may be several, else
    None; -1 where it is fewer.
    """

    tokens: Tensor
    unit: Tensor
    filled: int
    natural: bool = False
    places: Tensor | None = None

    @property
    def count(self) -> int:
        """Number of rows."""
        return int(self.tokens.shape[1])

    def tiles(self, size: int) -> Tensor:
        """The tokens of tiles of `size`, a divisor of `filled`, [lists or 1, tiles, size]."""
        return self.tokens.unflatten(1, (-1, size))  # type: ignore[no-untyped-call, no-any-return]

    def units(self, size: int) -> Tensor:
        """The unit of each tile of `size`, [lists or 1, tiles]."""
        return self.unit.repeat_interleave(self.filled // size, 1)


def in_units(tokens: int, block: int, table: Any, filled: int, device: torch.device) -> Rows:
    """All tokens of a side, unit after unit. table: the tokens of each unit, None where units are runs."""
    units, width = unit_count(tokens, block, table), -(-block // filled) * filled
    if table is None:
        place = torch.arange(width, device=device)
        found = torch.arange(units, device=device).unsqueeze(1) * block + place
        found = found.masked_fill((place >= block) | (found >= tokens), -1)
    else:
        found = torch.nn.functional.pad(torch.as_tensor(table, device=device), (0, width - block), value=-1)
    unit = torch.arange(units, device=device).repeat_interleave(width // filled)
    natural = table is None and (width == block or units == 1)
    return Rows(found.to(torch.int32).view(1, -1), unit.unsqueeze(0), filled, natural)


def gathered(plan: Plan, filled: int, device: torch.device) -> Rows:
    """The queries that attend to each key unit, unit after unit: each query once for each of its units.

    There are rows for as many units as lists are long, and for the filling of every unit.
    """
    units, most = plan.key_units, int(plan.indices.shape[3])
    listed = _of_queries(plan, device)
    unit = torch.where(listed < 0, units, listed).flatten(1).to(torch.int32)
    order = torch.argsort(unit, dim=1, stable=True)
    unit = unit.gather(1, order).long()
    counts = unit.new_zeros((len(unit), units + 1)).scatter_add_(1, unit, torch.ones_like(unit))
    blocks = -(-counts[:, :units] // filled)
    end = torch.cumsum(blocks, 1)
    pairs = plan.queries * most
    whole = (pairs + min(units, pairs) * (filled - 1)) // filled
    first = torch.nn.functional.pad((end - blocks) * filled, (0, 1), value=whole * filled)
    rank = torch.arange(pairs, device=device) - (torch.cumsum(counts, 1) - counts).gather(1, unit)
    row = torch.where(unit < units, first.gather(1, unit) + rank, whole * filled)  # the last row is cut off
    tokens = torch.full((len(unit), whole * filled + 1), -1, dtype=torch.int32, device=device)
    tokens.scatter_(1, row, (order // max(most, 1)).to(torch.int32))
    row = torch.where(unit < units, row, -1).to(torch.int32)
    places = torch.empty_like(row).scatter_(1, order, row).view(len(unit), plan.queries, most)
    block = torch.arange(whole, device=device).expand(len(unit), -1).contiguous()
    of_block = torch.searchsorted(end, block, right=True)
    return Rows(tokens[:, :-1].contiguous(), of_block, filled, places=places)


def _of_queries(plan: Plan, device: torch.device) -> Tensor:
    """The list of each query, [lists, queries, most]."""
    lists = torch.as_tensor(plan.indices, device=device).flatten(0, 1)
    if plan.q_block == 1 and plan.q_units is None:
        return lists
    unit = torch.arange(plan.queries, device=device) // plan.q_block
    if plan.q_units is not None:
        unit = places_in(torch.as_tensor(plan.q_units, device=device), plan.queries) // plan.q_block
    return lists[:, unit]


@lru_cache(64)
def has_placed(ir: BoundIR) -> bool:
    """Whether kernels may take the tokens of one head from anywhere, and be told where they stand."""
    expressions = [each for region in ir.regions for each in (region.visible, *region.terms)]
    if any(Head() in each.leaves for each in expressions):
        return False
    try:
        placed(ir, 1, 1)
    except AttnUnsupportedError:
        return False
    return True
