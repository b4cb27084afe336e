"""The tiles that kernels visit for a plan, in the three ways in which plans are computed.

`blocks`: units of queries are cut into q tiles, and units of keys into kv tiles. `gathered`: queries that are
routed each on its own are gathered by key unit; a tile of them visits the tiles of that unit, and what it
computes of a query is merged with the others. `tokens`: keys that are chosen one by one are gathered for
tiles of queries, each of which meets all keys that one of its queries lists. See `runtime/routed.py`.
A fourth way, `groups`, is counted in `grouped.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import TRUE
from attndsl.ir.route_units import route_table
from attndsl.schedule.block_map import FULL, BlockMap, block_map
from attndsl.schedule.heads import head_classes
from attndsl.schedule.masks import build_maps
from attndsl.schedule.ragged import ragged
from attndsl.simulate.counting import visible_pairs
from attndsl.simulate.inputs import loosest
from attndsl.simulate.plan_lists import Lists
from attndsl.simulate.plan_sides import UnitSide, unit_side
from attndsl.simulate.speedup import one_head

Array = NDArray[Any]
Regime = Literal["blocks", "gathered", "tokens", "groups"]

SMALLEST_UNIT = 16
"""Tokens of a unit from which on it fills a tile; that of `runtime/routed.py`."""

TOKEN_TILE = 64
"""Queries of a tile for which keys are gathered one by one; that of `runtime/routed_tokens.py`."""

COARSE = 256
"""Queries in a row that are looked at together for masks of units; that of `runtime/routed_gathering.py`."""

CHUNK = 2**22
"""Pairs of units that are looked at at once."""


@dataclass(frozen=True)
class TileCounts:
    """What the plan of one head visits.

    visited, full: pairs of tiles, and those without a mask. worst, mean: kv tiles per q tile; of gathered
    queries, per query. key_imbalance: queries of the most wanted key unit / those of a mean one; None where
    queries are not gathered. slots: partial outputs that are merged. gathered_keys: copied for tiles of
    queries. programs: q tiles. longest: kv tiles of one program at most. visible: pairs of tokens. listed:
    pairs of tokens in the lists, whether the mask shows them or not.
    """

    visited: float
    full: float
    worst: int
    mean: float
    programs: float
    longest: int
    visible: float
    listed: float
    key_imbalance: float | None = None
    slots: float = 0.0
    gathered_keys: float = 0.0

    @property
    def imbalance(self) -> float:
        """The most visits over the mean."""
        return self.worst / self.mean if self.mean else 1.0


class PlanTiles:
    """Counts what plans of a bound pattern visit. q_tokens, kv_tokens: of a tile at most."""

    def __init__(self, ir: BoundIR, q_tokens: int, kv_tokens: int) -> None:
        self.ir = loosest(ir)
        q_block, kv_block = route_table(ir, "q")[1], route_table(ir, "k")[1]
        self.regime: Regime = (
            "tokens" if kv_block < SMALLEST_UNIT else "blocks" if q_block >= SMALLEST_UNIT else "gathered"
        )
        self.kv_tokens = kv_tokens
        self.q_tokens = TOKEN_TILE if self.regime == "tokens" else q_tokens
        self.queries = unit_side(ir, "q", q_tokens if self.regime == "blocks" else q_block)
        self.keys = unit_side(ir, "k", kv_block if self.regime == "tokens" else kv_tokens)
        self.run = 1 if self.regime == "blocks" else max(1, self.q_tokens // q_block)
        self._classes, self._class_of_head = head_classes(self.ir)

    @cached_property
    def q_tile(self) -> tuple[int, ...]:
        """Tokens of a q tile: a box of the space, or a number of gathered queries."""
        return self._box(self.queries) if self.regime == "blocks" else (self.q_tokens,)

    @cached_property
    def kv_tile(self) -> tuple[int, ...]:
        """Tokens of a kv tile: a box of the space, or a number of gathered keys."""
        return (self.kv_tokens,) if self.regime == "tokens" else self._box(self.keys)

    def _box(self, side: UnitSide) -> tuple[int, ...]:
        largest = max(side.tiling.segments, key=lambda each: each.segment.size)
        return tuple(min(axis.size, axis.extent) for axis in largest.axes)

    @property
    def dense_kv_tiles(self) -> int:
        """The kv tiles that dense attention visits for each q tile."""
        return (
            -(-self.ir.key_space.size // self.kv_tokens)
            if self.regime == "tokens"
            else self.keys.tiling.tiles
        )

    @property
    def q_tiles(self) -> int:
        """The q tiles of dense attention."""
        by_number = -(-self.ir.query_space.size // self.q_tokens)
        return self.queries.tiling.tiles if self.regime == "blocks" else by_number

    @cached_property
    def _maps(self) -> tuple[BlockMap, ...]:
        queries, keys = self.queries.tiling, self.keys.tiling
        if any(mask is not TRUE for masks in self._classes for mask in masks.masks):
            return build_maps(self.ir, queries, keys).maps
        rows, ones = np.arange(queries.tiles), np.ones(queries.tiles, dtype=np.int64)
        return (block_map(rows, 0 * ones, keys.tiles * ones, 0 * ones, queries.tiles, keys.tiles),)

    @cached_property
    def _fills(self) -> list[float]:
        """For every class of heads the visible part of its PARTIAL tiles."""
        fills = []
        q_counts, k_counts = self.queries.tiling.counts, self.keys.tiling.counts
        for masks, mask in zip(self._classes, self._maps, strict=True):
            pairs, is_full = mask.pairs(q_counts, k_counts), mask.residual == FULL
            partial = int(pairs[~is_full].sum())
            own = one_head(self.ir, masks)
            visible = visible_pairs(own, self.queries.tiling, self.keys.tiling) if partial else 0
            fills.append((visible - int(pairs[is_full].sum())) / partial if partial else 0.0)
        return fills

    def count(self, lists: Lists, head: int) -> TileCounts:
        """What the lists of a head visit."""
        number = int(self._class_of_head[head])
        counting = {"blocks": self._of_blocks, "gathered": self._of_gathered, "tokens": self._of_tokens}
        return counting[self.regime](lists, self._maps[number], self._fills[number])

    # ------------------------------------------------------------ blocks of queries

    def _of_blocks(self, lists: Lists, mask: BlockMap, fill: float) -> TileCounts:
        rows, keys = lists.rows[lists.row], lists.key
        across = self.keys.count[keys]
        pair, inside = ragged(self.queries.count[rows] * across)
        q_tile = self.queries.tile(rows[pair], inside // across[pair])
        kv_tile = self.keys.tile(keys[pair], inside % across[pair])
        weight = lists.weights[lists.row][pair]
        found = _Visits(self, mask.residual_of(q_tile, kv_tile), q_tile, kv_tile, weight, fill)
        looked_at, inside = ragged(self.queries.count[lists.rows])
        tiles = self.queries.tile(lists.rows[looked_at], inside)
        visits = np.bincount(q_tile[found.is_visited], minlength=self.queries.tiling.tiles)[tiles]
        return TileCounts(
            visited=found.visited,
            full=found.full,
            worst=int(visits.max(initial=0)),
            mean=_mean(visits, lists.weights[looked_at]),
            programs=float(self.queries.tiling.tiles),
            longest=int(visits.max(initial=0)),
            visible=found.visible,
            listed=self._listed(lists),
        )

    def _listed(self, lists: Lists) -> float:
        queries = self.queries.sizes[lists.rows] * lists.weights
        return float((queries[lists.row] * self.keys.sizes[lists.key]).sum())

    # ------------------------------------------------------------ queries on their own

    def _of_gathered(self, lists: Lists, mask: BlockMap, fill: float) -> TileCounts:
        rows, keys = lists.rows[lists.row], lists.key
        pair, inside = ragged(self.keys.count[keys])
        q_tile, kv_tile = self.queries.tile(rows[pair], 0 * pair), self.keys.tile(keys[pair], inside)
        residual = mask.residual_of(q_tile, kv_tile)
        found = _Visits(self, residual, q_tile, kv_tile, lists.weights[lists.row][pair], fill)
        is_full = np.bincount(pair, residual == FULL, len(keys)) == self.keys.count[keys]
        is_shown = np.bincount(pair, found.is_visited, len(keys)) > 0
        is_full &= self._is_full_for_neighbours(rows, keys, is_full | ~is_shown)
        tokens = np.where(is_shown, (self.queries.sizes[lists.rows] * lists.weights)[lists.row], 0.0)
        full_tiles = np.ceil(np.bincount(keys, tokens * is_full, len(self.keys.sizes)) / self.q_tokens - 1e-9)
        partial = self._partial_tiles(keys, tokens * ~is_full)
        chosen = found.is_visited & ~is_full[pair]
        tiles, queries = np.unique(partial[is_shown & ~is_full], return_counts=True)
        visited, place = np.unique(
            partial[pair[chosen]] * self.keys.tiling.tiles + kv_tile[chosen], return_inverse=True
        )
        own = queries[np.searchsorted(tiles, visited // max(self.keys.tiling.tiles, 1))]
        decided = int((np.bincount(place, residual[chosen] == FULL, len(visited)) == own).sum())
        visits = np.bincount(lists.row[pair[found.is_visited]], minlength=len(lists.rows))
        gathered = np.bincount(keys, tokens, len(self.keys.sizes))
        full = float((full_tiles * self.keys.count).sum())
        return TileCounts(
            visited=full + len(visited),
            full=full + decided,
            worst=int(visits.max(initial=0)),
            mean=_mean(visits, lists.weights),
            programs=float(full_tiles.sum()) + len(tiles),
            longest=int(self.keys.count.max(initial=0)),
            visible=found.visible,
            listed=self._listed(lists),
            key_imbalance=float(gathered.max(initial=0) / gathered.mean()) if gathered.any() else 1.0,
            slots=float(tokens.sum()),
        )

    def _is_full_for_neighbours(self, rows: Array, keys: Array, is_full: Array) -> Array:
        """Whether all queries of the same run that list a unit see all of it: masks are left out by run."""
        first = np.cumsum(self.queries.sizes) - self.queries.sizes
        run = first[rows] // max(COARSE, int(self.keys.sizes.max(initial=1)))
        cell = run * len(self.keys.sizes) + keys
        found: Array = np.bincount(cell, ~is_full)[cell] == 0
        return found

    def _partial_tiles(self, keys: Array, tokens: Array) -> Array:
        """The number of the gathered tile in which each pair of a query and a key unit stands."""
        order = np.argsort(keys, kind="stable")
        ends = np.cumsum(tokens[order])
        first = np.searchsorted(keys[order], np.arange(len(self.keys.sizes)))
        before = np.concatenate([[0.0], ends])[first]
        inside = ends - tokens[order] - before[keys[order]]
        number = np.empty(len(keys), dtype=np.int64)
        number[order] = (inside // self.q_tokens).astype(np.int64)
        found: Array = number * len(self.keys.sizes) + keys
        return found

    # ------------------------------------------------------------ keys one by one

    def _of_tokens(self, lists: Lists, mask: BlockMap, fill: float) -> TileCounts:
        start = (np.cumsum(self.queries.sizes) - self.queries.sizes)[lists.rows] // TOKEN_TILE
        parts = [
            self._of_token_tiles(part, mask, fill)
            for part in lists.chunks(_starts(start, np.bincount(lists.row, minlength=len(start))))
        ]
        visits, weights, keys, visible = (np.concatenate([part[n] for part in parts]) for n in range(4))
        tiles = float(weights.sum())
        return TileCounts(
            visited=float((visits * weights).sum()),
            full=0.0,
            worst=int(visits.max(initial=0)),
            mean=_mean(visits, weights),
            programs=tiles,
            longest=int(visits.max(initial=0)),
            visible=float(visible.sum()),
            listed=self._listed(lists),
            gathered_keys=float((keys * weights).sum()),
        )

    def _of_token_tiles(self, lists: Lists, mask: BlockMap, fill: float) -> tuple[Array, ...]:
        """Of each tile of queries: kv tiles, how many such tiles there are, keys; and all visible pairs."""
        sizes = self.queries.sizes
        start = (np.cumsum(sizes) - sizes)[lists.rows] // TOKEN_TILE
        tiles, place, count = np.unique(start, return_inverse=True, return_counts=True)
        union = np.unique(place[lists.row] * len(self.keys.sizes) + lists.key)
        tile, key = np.divmod(union, max(len(self.keys.sizes), 1))
        keys = np.bincount(tile, self.keys.sizes[key], len(tiles))
        weights = np.bincount(place, lists.weights, len(tiles)) / np.maximum(count, 1)
        q_tile = self.queries.tile(lists.rows[lists.row], 0 * lists.row)
        kv_tile = self.keys.tile(lists.key, 0 * lists.key)
        residual = mask.residual_of(q_tile, kv_tile)
        found = _Visits(self, residual, q_tile, kv_tile, lists.weights[lists.row], fill)
        return -(-keys // self.kv_tokens), weights, keys, np.array([found.visible])


class _Visits:
    """Pairs of tiles with their residuals; weights: how many pairs each stands for."""

    def __init__(
        self, tiles: PlanTiles, residual: Array, q_tile: Array, kv_tile: Array, weights: Array, fill: float
    ) -> None:  # fmt: skip
        self.is_visited, is_full = residual >= 0, residual == FULL
        pairs = weights * tiles.queries.tiling.counts[q_tile] * tiles.keys.tiling.counts[kv_tile]
        self.visited = float(weights[self.is_visited].sum())
        self.full = float(weights[is_full].sum())
        self.visible = float(pairs[is_full].sum() + fill * pairs[self.is_visited & ~is_full].sum())


def _mean(visits: Array, weights: Array) -> float:
    return float((visits * weights).sum() / weights.sum()) if weights.any() else 0.0


def _starts(tile: Array, pairs: Array) -> Array:
    """Where rows are divided into parts of whole tiles and about `CHUNK` pairs. tile: of each row."""
    first = np.concatenate([[0], np.flatnonzero(np.diff(tile)) + 1])
    before = (np.cumsum(pairs) - pairs)[first] // CHUNK if len(pairs) else np.zeros(1)
    starts: Array = first[np.concatenate([[True], np.diff(before) > 0])]
    return starts
