"""What a picture shows: a bound pattern, its schedule, and one head of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import BoundIR, Segment
from attndsl.ir.evaluate import mask_rows
from attndsl.ir.expr import Head
from attndsl.schedule.block_map import FULL, BlockMap
from attndsl.schedule.schedule import Schedule
from attndsl.schedule.tiling import Tiling

Array = NDArray[Any]

SMALL = 1024
"""Up to this many queries and keys, every pair of tokens is drawn; beyond it, tiles."""

SKIPPED_PAIR, MASKED_PAIR, PARTIAL_PAIR, FULL_PAIR = range(4)
"""Classes of a pair of tokens: rows of `palette.CLASS_COLOURS`."""


@dataclass(frozen=True)
class Subject:
    """One head of a bound pattern with its schedule; `inputs` are the declared inputs, arrays [tokens]."""

    ir: BoundIR
    schedule: Schedule
    head: int = 0
    inputs: Mapping[str, Array] = field(default_factory=dict)

    @property
    def block_map(self) -> BlockMap:
        """The tiles that this head visits."""
        return self.schedule.maps[int(self.schedule.map_of_head[self.head])]

    @property
    def heads_differ(self) -> bool:
        """Whether heads have masks or scores of their own."""
        terms = (term for region in self.ir.regions for term in region.terms)
        return len(self.schedule.maps) > 1 or any(Head() in term.mentioned for term in terms)

    @property
    def is_small(self) -> bool:
        """Whether every pair of tokens can be drawn."""
        return max(self.ir.query_space.size, self.ir.key_space.size) <= SMALL

    @cached_property
    def query_tiles(self) -> Array:
        """The q tile of each query token, [Nq]."""
        return tile_of_token(self.schedule.q_tiling)

    @cached_property
    def key_tiles(self) -> Array:
        """The kv tile of each key token, [Nk]."""
        return tile_of_token(self.schedule.kv_tiling)

    def pair_classes(self) -> Array:
        """The class of every pair of tokens, uint8 [Nq, Nk], in token order. For small subjects only."""
        tiles = np.full((self.block_map.rows, self.block_map.columns), -1, dtype=np.int16)
        row, column, residual = self.block_map.entries()
        tiles[row, column] = residual
        visible = mask_rows(self.ir, self.head, 0, self.ir.query_space.size, self.inputs)
        return pair_classes(tiles[self.query_tiles[:, None], self.key_tiles[None, :]], visible)

    def key_classes(self, query: int) -> Array:
        """The class of every pair with one query, uint8 [Nk]; `query` is its position in the query space."""
        row = self.block_map.row == self.query_tiles[query]
        tiles = np.full(self.block_map.columns, -1, dtype=np.int16)
        for begin, end, residual in zip(*(part[row] for part in self._runs), strict=True):
            tiles[begin:end] = residual
        visible = mask_rows(self.ir, self.head, query, query + 1, self.inputs)[0]
        return pair_classes(tiles[self.key_tiles], visible)

    @property
    def _runs(self) -> tuple[Array, Array, Array]:
        return self.block_map.begin, self.block_map.end, self.block_map.residual

    @property
    def main_segments(self) -> tuple[Segment, Segment]:
        """The first segment of the queries and of the keys."""
        return self.ir.query_space.segments[0], self.ir.key_space.segments[0]


def tile_of_token(tiling: Tiling) -> Array:
    """The tile of each token, [tokens], in token order."""
    tokens, counts = tiling.tokens()
    tile = np.empty(int(counts.sum()), dtype=np.int64)
    exists = tokens >= 0
    tile[tokens[exists]] = np.repeat(np.arange(len(tokens)), exists.sum(axis=1))
    return tile


def pair_classes(residual: Array, visible: Array) -> Array:
    """Classes of pairs from the residual of their tiles (-1: not visited) and the mask."""
    partial = np.where(visible, PARTIAL_PAIR, MASKED_PAIR)
    return np.where(residual < 0, SKIPPED_PAIR, np.where(residual == FULL, FULL_PAIR, partial)).astype(
        np.uint8
    )
