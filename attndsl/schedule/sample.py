"""Counts visited tiles on a sample of q tiles: an estimate that costs little on long sequences too."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.expr import Expr
from attndsl.schedule.classify import classify
from attndsl.schedule.pairs import Pairs
from attndsl.schedule.ragged import row_major
from attndsl.schedule.region import Region

Array = NDArray[Any]

SAMPLED_TILES = 16
GOLDEN = (5**0.5 - 1) / 2
"""Multiples of the golden ratio spread evenly and follow no period of the mask."""


class _Sample:
    """Some q tiles of a region, and how many of them (and of their tokens) lie in each box of a level."""

    def __init__(self, region: Region) -> None:
        self.region = region
        tiling = region.tilings[0]
        places = np.arange(SAMPLED_TILES) * GOLDEN % 1 * tiling.tiles
        self.tiles = np.unique(places.astype(np.int64))
        self.share = len(self.tiles) / tiling.tiles
        self._tokens = tiling.counts[self.tiles]
        self._levels: dict[int, tuple[Array, Array]] = {}

    def in_boxes(self, level: int) -> tuple[Array, Array]:
        """For each query box, the sampled tiles in it and the number of their tokens."""
        if level not in self._levels:
            axes = self.region.axes
            grid, _ = axes.split(level)
            places = np.unravel_index(self.tiles, axes.split(0)[0])
            box = row_major(
                [
                    np.searchsorted(axis.tiles(level)[0], place, side="right") - 1
                    for axis, place in zip(axes.query, places, strict=True)
                ],
                grid,
            )
            size = prod(grid)
            self._levels[level] = np.bincount(box, minlength=size), np.bincount(box, self._tokens, size)
        return self._levels[level]

    def rows(self, level: int) -> NDArray[np.bool_]:
        """Which query boxes have a sampled tile in them."""
        return self.in_boxes(level)[0] > 0

    def count(self, pairs: Pairs) -> tuple[float, float]:
        """Visited pairs of tiles and of tokens in pairs of boxes, by what is sampled of them."""
        tiles, tokens = self.in_boxes(pairs.level)
        visited, visited_tokens = tiles[pairs.query].astype(float), tokens[pairs.query]
        keys = pairs.coordinates[len(self.region.axes.query) :]
        for axis, box in zip(self.region.axes.key, keys, strict=True):
            visited = visited * axis.tiles(pairs.level)[1][box]
            visited_tokens = visited_tokens * axis.lengths(pairs.level)[box]
        return float(visited.sum()), float(visited_tokens.sum())


def sampled_counts(region: Region, root: Expr) -> tuple[float, float, float]:
    """Estimates of visited tiles, and of pairs of tokens in visited and in FULL tiles."""
    sample = _Sample(region)
    found = classify(region, root, rows=sample.rows, settle=_all_partial)
    full = [sample.count(pairs) for pairs in found.full]
    partial = [sample.count(pairs) for pairs in found.partial]
    visited, tokens = (sum(counts) / sample.share for counts in zip(*full, *partial, strict=True))
    return visited, tokens, sum(tokens for _, tokens in full) / sample.share


def _all_partial(region: Region, root: Expr, pairs: Pairs) -> tuple[Array, Array]:
    return np.zeros(len(pairs), dtype=bool), np.ones(len(pairs), dtype=bool)
