"""From lists over the units of a route to a plan over all tokens, in segments that are not routed too."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attndsl.ir.plan import Plan
from attndsl.ir.route import Route
from attndsl.ir.route_units import unit_table
from attndsl.runtime.route_units import SideUnits
from attndsl.runtime.select_lists import Lists


def plan_of(route: Route, queries: SideUnits, keys: SideUnits, lists: Lists) -> Plan:
    """The plan of a route's lists. Tokens of other segments see, and are seen by, all that masks show."""
    indices, counts = lists
    q_table, q_block = _table(queries, route.queries)
    k_table, k_block = _table(keys, route.keys)
    routed_rows, routed_keys = queries.count(route.queries), keys.count(route.keys)
    indices, counts = _with_keys(indices, counts, routed_keys, _count(k_table, routed_keys))
    rows = _count(q_table, routed_rows) - routed_rows
    indices, counts = _with_rows(indices, counts, rows, _count(k_table, routed_keys))
    return Plan(
        queries.space.size, keys.space.size, q_block, k_block, indices, counts,
        _on(q_table, queries.device), _on(k_table, keys.device),
    )  # fmt: skip


def _count(table: NDArray[np.int64] | None, routed: int) -> int:
    return routed if table is None else len(table)


def _on(table: NDArray[np.int64] | None, device: torch.device) -> Tensor | None:
    return None if table is None else torch.from_numpy(table.astype(np.int32)).to(device)


def _table(side: SideUnits, name: str) -> tuple[NDArray[np.int64] | None, int]:
    return unit_table(side.space, side.segment, side.route.block(name) if name else None)


def _with_keys(indices: Tensor, counts: Tensor, routed: int, keys: int) -> Lists:
    """The lists with the key units from `routed` on added to each."""
    if routed == keys:
        return indices, counts
    added = torch.arange(routed, keys, dtype=torch.int32, device=indices.device)
    both = torch.cat([indices, added.expand(*indices.shape[:3], len(added))], 3)
    both = torch.where(both < 0, keys, both).sort(-1).values
    return torch.where(both < keys, both, -1), counts + len(added)


def _with_rows(indices: Tensor, counts: Tensor, rows: int, keys: int) -> Lists:
    """The lists of further rows, which hold all key units."""
    if not rows:
        return indices, counts
    shape = *indices.shape[:2], rows
    most = max(keys, indices.shape[3])
    indices = torch.nn.functional.pad(indices, (0, most - indices.shape[3]), value=-1)
    whole = torch.full((most,), -1, dtype=torch.int32, device=indices.device)
    whole[:keys] = torch.arange(keys, dtype=torch.int32)
    indices = torch.cat([indices, whole.expand(*shape, most)], 2)
    return indices, torch.cat([counts, counts.new_full(shape, keys)], 2)
