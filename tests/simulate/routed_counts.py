"""What kernels visit for a plan, counted pair by pair from its mask: the oracle of tile counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.plan import Plan, unit_of_token
from attndsl.pipeline import Bound
from attndsl.simulate import plan_tiles

Array = NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """Of one head. worst: the most kv tiles of a q tile, or of a query where queries are gathered."""

    visited: int
    full: int
    worst: int
    visible: int


def tiles_of_units(unit: Array, size: int) -> Array:
    """The tile of each token: units cut into runs of so many tokens."""
    tile = np.zeros(len(unit), dtype=np.int64)
    count = 0
    for number in range(int(unit.max()) + 1):
        own = np.flatnonzero(unit == number)
        tile[own] = count + np.arange(len(own)) // size
        count += -(-len(own) // size)
    return tile


def of_blocks(bound: Bound, plan: Plan, head: int, q_size: int, kv_size: int) -> Counts:
    """Plans of blocks of queries, by tiles of so many tokens."""
    static = np.broadcast_to(bound.mask(), (bound.ir.heads, plan.queries, plan.keys))[head]
    listed = plan.of_heads(bound.ir.heads)
    shown = static & np.broadcast_to(listed, (1, bound.ir.heads, *static.shape))[0, head]
    q_tile = tiles_of_units(unit_of_token(plan.queries, plan.q_block, plan.q_units), q_size)
    kv_tile = tiles_of_units(unit_of_token(plan.keys, plan.kv_block, plan.kv_units), kv_size)
    visits = np.zeros((q_tile.max() + 1, kv_tile.max() + 1), dtype=np.int64)
    np.add.at(visits, (q_tile[:, None], kv_tile[None, :]), shown)
    size = np.bincount(q_tile)[:, None] * np.bincount(kv_tile)
    return Counts(
        int((visits > 0).sum()), int((visits == size).sum()), int((visits > 0).sum(1).max()), int(shown.sum())
    )


def of_gathered(bound: Bound, plan: Plan, head: int, q_size: int, kv_size: int) -> Counts:
    """Plans of single queries: those of runs that see all of a unit are gathered apart from the others."""
    static = np.broadcast_to(bound.mask(), (bound.ir.heads, plan.queries, plan.keys))[head]
    shown = static & plan.of_heads(bound.ir.heads)[0][head]
    unit = unit_of_token(plan.keys, plan.kv_block, plan.kv_units)
    kv_tile = tiles_of_units(unit, kv_size)
    visited = full = 0
    per_query = np.zeros(plan.queries, dtype=np.int64)
    for number in range(plan.key_units):
        own_keys = np.flatnonzero(unit == number)
        seen, names = shown[:, own_keys], np.unique(kv_tile[own_keys])
        tiles = np.stack([seen[:, kv_tile[own_keys] == tile].any(1) for tile in names], 1)
        per_query += tiles.sum(1)
        run = np.arange(plan.queries) // max(plan_tiles.COARSE, plan.kv_block)
        cut = np.bincount(run, seen.any(1) & ~seen.all(1))[run] > 0
        whole = np.flatnonzero(seen.all(1) & ~cut)
        full += -(-len(whole) // q_size) * tiles.shape[1]
        part = np.flatnonzero(seen.any(1) & cut)
        for start in range(0, len(part), q_size):
            own = part[start : start + q_size]
            visited += int(tiles[own].any(0).sum())
            decided = [seen[own][:, kv_tile[own_keys] == tile].all() for tile in names]
            full += sum(decided)
            visited -= sum(decided)
    return Counts(visited + full, full, int(per_query.max()), int(shown.sum()))


def of_tokens(bound: Bound, plan: Plan, head: int, q_size: int, kv_size: int) -> Counts:
    """Plans of single keys: tiles of queries meet all keys that one of them lists."""
    static = np.broadcast_to(bound.mask(), (bound.ir.heads, plan.queries, plan.keys))[head]
    listed = plan.of_heads(bound.ir.heads)[0][head]
    unions = [int(listed[start : start + q_size].any(0).sum()) for start in range(0, plan.queries, q_size)]
    tiles = [-(-union // kv_size) for union in unions]
    return Counts(sum(tiles), 0, max(tiles), int((static & listed).sum()))
