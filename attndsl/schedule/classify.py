"""Classification of tile pairs for any mask: from coarse boxes to tiles, then a closer look at the undecided.

Coarse pairs of boxes that are EMPTY disappear at once and FULL ones are kept whole, so the work follows the
border of the mask and not its area. Tile pairs that interval analysis leaves open are settled by `decide`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.expr import Const, Expr
from attndsl.schedule.decide import decide
from attndsl.schedule.pairs import CHUNK, Pairs, all_pairs, concatenated
from attndsl.schedule.region import Region

FIRST_PAIRS = 4096
"""The walk starts on the finest level that has no more pairs than this."""

Rows = Callable[[int], NDArray[np.bool_]]
Settle = Callable[[Region, Expr, Pairs], tuple[NDArray[np.bool_], NDArray[np.bool_]]]


@dataclass(frozen=True, eq=False)
class Classified:
    """FULL pairs of boxes of any levels up to the tiles, and PARTIAL pairs of tiles; all others are EMPTY."""

    full: list[Pairs]
    partial: Pairs


def classify(region: Region, root: Expr, rows: Rows | None = None, settle: Settle = decide) -> Classified:
    """The class of every pair of tiles.

    rows: the query boxes of a level to look at, bool [query boxes]; all if left out. settle: which of the
    pairs of tiles that interval analysis leaves open are FULL and which PARTIAL.
    """
    level = _first_level(region, root)
    pairs, full = all_pairs(region.axes, level), list[Pairs]()
    if rows is not None:
        pairs = pairs.where(rows(level)[pairs.query])
    while True:
        certain, open_pairs = split(region, root, pairs)
        full.append(certain)
        if level == 0:
            break
        size = max(1, CHUNK >> len(region.axes.all))
        level, kept = level + 1, None if rows is None else rows(level + 1)
        finer = [chunk.children(kept)[0] for chunk in open_pairs.chunks(size)]
        pairs = concatenated(region.axes, level, finer)
    holds, partial = settle(region, root, open_pairs)
    return Classified([*full, open_pairs.where(holds)], open_pairs.where(partial))


def _first_level(region: Region, root: Expr) -> int:
    level = region.axes.coarsest
    while not isinstance(root, Const) and level < 0 and np.prod(region.axes.grid(level + 1)) <= FIRST_PAIRS:
        level += 1
    return level


def split(region: Region, root: Expr, pairs: Pairs) -> tuple[Pairs, Pairs]:
    """The FULL pairs of boxes and the undecided ones."""
    full, undecided = [], []
    for chunk in pairs.chunks():
        truth = region.truth(root, chunk)
        full.append(chunk.where(~truth.may_fail))
        undecided.append(chunk.where(truth.may_hold & truth.may_fail))
    axes, level = pairs.axes, pairs.level
    return concatenated(axes, level, full), concatenated(axes, level, undecided)
