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
from attndsl.schedule.residual import atoms

FIRST_PAIRS = 4096
"""The walk starts on the finest level that has no more pairs than this."""

Rows = Callable[[int], NDArray[np.bool_]]
Settle = Callable[[Region, Expr, Pairs], tuple[NDArray[np.bool_], NDArray[np.bool_]]]


@dataclass(frozen=True, eq=False)
class Classified:
    """FULL and PARTIAL pairs of boxes, of any levels up to the tiles; all other pairs of tiles are EMPTY.

    Boxes coarser than tiles are PARTIAL only where everything but unknown inputs is decided.
    """

    full: list[Pairs]
    partial: list[Pairs]


def classify(region: Region, root: Expr, rows: Rows | None = None, settle: Settle = decide) -> Classified:
    """The class of every pair of tiles.

    rows: the query boxes of a level to look at, bool [query boxes]; all if left out. settle: which of the
    pairs of tiles that interval analysis leaves open are FULL and which PARTIAL.
    """
    level = _first_level(region, root)
    pairs, full, partial = all_pairs(region.axes, level), list[Pairs](), list[Pairs]()
    known = [atom for atom in atoms(root) if not region.is_unknown(atom)] if region.is_unknown(root) else None
    if rows is not None:
        pairs = pairs.where(rows(level)[pairs.query])
    while True:
        certain, open_pairs = split(region, root, pairs)
        full.append(certain)
        if known is not None:
            settled, open_pairs = _settled(region, known, open_pairs)
            partial.append(settled)
        if level == 0:
            break
        size = max(1, CHUNK >> len(region.axes.all))
        level, kept = level + 1, None if rows is None else rows(level + 1)
        finer = [chunk.children(kept)[0] for chunk in open_pairs.chunks(size)]
        pairs = concatenated(region.axes, level, finer)
    holds, undecided = settle(region, root, open_pairs)
    return Classified([*full, open_pairs.where(holds)], [*partial, open_pairs.where(undecided)])


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


def _settled(region: Region, known: list[Expr], pairs: Pairs) -> tuple[Pairs, Pairs]:
    """The pairs of boxes in which all known atoms are decided, and the others."""
    decided = np.ones(len(pairs), dtype=bool)
    for start in range(0, len(pairs), CHUNK):
        part = slice(start, start + CHUNK)
        for truth in region.truths(known, pairs.where(part)):
            decided[part] &= ~(truth.may_hold & truth.may_fail)
    return pairs.where(decided), pairs.where(~decided)
