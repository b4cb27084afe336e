"""What is still undecided in PARTIAL tiles: the status of every comparison of the mask, tile by tile."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.expr import Expr
from attndsl.schedule.heads import for_head
from attndsl.schedule.pairs import Pairs
from attndsl.schedule.region import Region
from attndsl.schedule.residual import RegionKey, ResidualTable, atoms, choices, decode, encode

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Mask:
    """The mask of one region: `whole` for all heads and `root` for the heads of one class, among them `head`.

    Residuals are parts of `whole`, so that the tiles of different heads can share them.
    """

    whole: Expr
    root: Expr
    head: int
    region: RegionKey

    @cached_property
    def atoms(self) -> dict[Expr, Expr]:
        """The comparisons of `whole`, each with the expression that it is for this head."""
        return {atom: for_head(atom, self.head) for atom in atoms(self.whole)}


def statuses(region: Region, names: list[Expr], pairs: Pairs) -> Array:
    """The encoded status of the atoms in each pair, int64 [pairs]."""
    parts = [encode(region.truths(names, chunk), len(chunk)) for chunk in pairs.chunks()]
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])


def number_partial(region: Region, mask: Mask, pairs: Pairs, table: ResidualTable) -> Array:
    """The provisional residual number of each PARTIAL pair of boxes."""
    distinct, index = distinct_codes(statuses(region, list(mask.atoms.values()), pairs))
    tiles = np.bincount(index, pairs.tiles(), minlength=len(distinct))
    names = list(mask.atoms)
    numbers = [
        table.add(choices(mask.whole, decode(code, names), mask.region), int(count))
        for code, count in zip(distinct, tiles, strict=True)
    ]
    return np.asarray(numbers, dtype=np.int32)[index]


def distinct_codes(codes: Array) -> tuple[list[int], Array]:
    """The distinct codes, and for each element the index of its code."""
    if codes.max(initial=0) < max(2**16, len(codes)):  # counting is faster than sorting
        present = np.bincount(codes, minlength=1) > 0
        return np.flatnonzero(present).tolist(), (np.cumsum(present) - 1)[codes]
    distinct, index = np.unique(codes, return_inverse=True)
    return distinct.tolist(), index
