"""Block maps as small images: each pixel averages the tile pairs below it, without listing the pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.schedule.block_map import FULL, BlockMap

Array = NDArray[Any]


def merged(block_map: BlockMap, most: int) -> tuple[int, int]:
    """How many q tiles and kv tiles a pixel covers, so that there are at most `most` pixels per side."""
    return -(-block_map.rows // most) or 1, -(-block_map.columns // most) or 1


def coverage(block_map: BlockMap, most: int) -> Array:
    """The shares of FULL and of PARTIAL tile pairs in each pixel, float64 [rows, columns, 2].

    A pixel covers the tile pairs that `merged` says; those at the last edges may cover fewer.
    """
    full = block_map.residual == FULL
    size = merged(block_map, most)
    return np.stack([_layer(block_map, chosen, size) for chosen in (full, ~full)], axis=-1)


def _layer(block_map: BlockMap, chosen: Array, size: tuple[int, int]) -> Array:
    """The share of each pixel that the chosen runs cover.

    A run covers, in pixel c of width w, ramp(end) - ramp(begin), where ramp(x) is x - c * w cut off to
    0 .. w. As c grows, ramp(x) falls from w to 0 within two pixels, so that its differences from pixel to
    pixel are two numbers per run, whatever its length.
    """
    rows, columns = -(-block_map.rows // size[0]), -(-block_map.columns // size[1])
    row = block_map.row[chosen] // size[0]
    steps = np.zeros(rows * (columns + 2))
    for ends, sign in ((block_map.end[chosen], 1), (block_map.begin[chosen], -1)):
        pixel, rest = np.divmod(ends.astype(np.int64), size[1])
        place = row * (columns + 2) + pixel
        steps += sign * np.bincount(place, rest - size[1], len(steps))
        steps -= sign * np.bincount(place + 1, rest, len(steps))
    covered = np.cumsum(steps.reshape(rows, columns + 2), axis=1)[:, :columns]
    shares: Array = covered / np.outer(_sizes(block_map.rows, size[0]), _sizes(block_map.columns, size[1]))
    return shares


def _sizes(count: int, size: int) -> Array:
    """How many of `count` tiles lie below each pixel."""
    return np.diff(np.append(np.arange(0, count, size), count))
