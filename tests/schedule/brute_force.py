"""The class of every pair of tiles, read off the whole mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.schedule.schedule import Schedule
from attndsl.schedule.tiling import Tiling

EMPTY, FULL, PARTIAL = 0, 1, 2

Classes = NDArray[np.int64]


def tile_classes(schedule: Schedule, mask: NDArray[np.bool_]) -> Classes:
    """The classes that the mask has, [heads, q tiles, kv tiles]."""
    query, key = tile_of_token(schedule.q_tiling), tile_of_token(schedule.kv_tiling)
    shape = len(mask), schedule.q_tiling.tiles, schedule.kv_tiling.tiles
    visible = np.zeros(shape, dtype=np.int64)
    for head, own in enumerate(mask):
        np.add.at(visible[head], (query[:, None], key[None, :]), own)
    full = np.outer(schedule.q_tiling.counts, schedule.kv_tiling.counts)
    return np.where(visible == 0, EMPTY, np.where(visible == full, FULL, PARTIAL))


def scheduled_classes(schedule: Schedule, heads: int) -> Classes:
    """The classes that the schedule says, [heads, q tiles, kv tiles]."""
    shape = heads, schedule.q_tiling.tiles, schedule.kv_tiling.tiles
    classes = np.zeros(shape, dtype=np.int64)
    for head in range(heads):
        row, column, residual = schedule.maps[schedule.map_of_head[head]].entries()
        assert not classes[head, row, column].any(), "runs overlap"
        classes[head, row, column] = np.where(residual == 0, FULL, PARTIAL)
    return classes


def tile_of_token(tiling: Tiling) -> NDArray[Any]:
    """The tile of each token, [tokens]."""
    tokens, counts = tiling.tokens()
    tile = np.full(tiling.space.size, -1)
    for number, (row, count) in enumerate(zip(tokens, counts, strict=True)):
        assert (tile[row[:count]] == -1).all(), "tiles overlap"
        tile[row[:count]] = number
    assert (tile >= 0).all(), "a token has no tile"
    return tile
