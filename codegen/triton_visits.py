"""Block maps as GPU kernels read them: one record per owner tile, and a list of visited tiles where needed.

Where the tiles that an owner visits are neighbours with FULL ones in the middle (causal masks, windows), a
record holds the bounds of three ranges and no list is needed; otherwise it points into a list of tiles, FULL
ones first. A FULL tile that the edge of the space cuts off is listed as PARTIAL, with a residual number of
its own that asks for nothing but existing tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attndsl.schedule.block_map import FULL, BlockMap, block_map
from attndsl.schedule.ragged import ragged

Array = NDArray[Any]
Form = Literal["ranges", "list"]

RESIDUAL_SHIFT = 24
"""A list entry is a tile's number plus its residual's number times 2**24."""

RANGES = ("first", "full_first", "full_end", "end", "left_residual", "right_residual")
"""Fields of a record: PARTIAL from tile `first`, FULL from `full_first`, PARTIAL again from `full_end` to
`end`, and the residual of either PARTIAL range.
"""

LIST = ("first", "full_end", "end")
"""Fields of a record: list positions of the first FULL tile, the first PARTIAL tile and the end."""


@dataclass(frozen=True)
class Visits:
    """The visits of all maps.

    order: owner tiles, those with the most work first, int32 [maps, owner tiles]. records: int32 [maps, owner
    tiles, fields]. tiles: the list, int32, of length 1 if there is none. full: whether any FULL tile is
    visited. residuals: the numbers of the PARTIAL tiles that are visited.
    """

    form: Form
    order: NDArray[np.int32]
    records: NDArray[np.int32]
    tiles: NDArray[np.int32]
    full: bool
    residuals: tuple[int, ...]

    @property
    def partial(self) -> bool:
        """Whether any PARTIAL tile is visited."""
        return bool(self.residuals)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of a record's fields."""
        return RANGES if self.form == "ranges" else LIST


def visits(
    maps: Sequence[BlockMap], owner_counts: Array, visited_counts: Array, lanes: int, edge: int,
    form: Form | None = None,
) -> Visits:  # fmt: skip
    """The visits of all maps. Rows of the maps are owners.

    owner_counts, visited_counts: tokens of each tile; lanes: of a visited tile. edge: the residual number for
    FULL tiles with fewer tokens than lanes. form: how to store them, the smallest that fits if left out.
    """
    marked = [mark_cut(each, visited_counts < lanes, edge) for each in maps]
    order = np.stack([each.order(owner_counts, visited_counts) for each in maps])
    ranges = None if form == "list" else _as_ranges(marked)
    records, tiles = _as_list(marked) if ranges is None else (ranges, np.zeros(1, np.int32))
    numbers = {int(number) for each in marked for number in np.unique(each.residual)}
    residuals = tuple(sorted(numbers - {FULL}))
    return Visits("list" if ranges is None else "ranges", order, records, tiles, FULL in numbers, residuals)


def mark_cut(original: BlockMap, cut: Array, edge: int) -> BlockMap:
    """The map with residual `edge` in place of FULL for visited tiles that are cut."""
    if not cut.any():
        return original
    changes = np.flatnonzero(cut[1:] != cut[:-1]) + 1
    first = np.searchsorted(changes, original.begin, side="right")
    inner = np.searchsorted(changes, original.end, side="left") - first
    run, part = ragged(inner + 1)
    bounds = np.append(changes, original.columns)
    begin = np.where(part == 0, original.begin[run], bounds[first[run] + part - 1])
    end = np.where(part == inner[run], original.end[run], bounds[first[run] + part])
    residual = original.residual[run]
    residual = np.where((residual == FULL) & cut[begin], np.int16(edge), residual)
    return block_map(original.row[run], begin, end, residual, original.rows, original.columns)


def _as_ranges(maps: Sequence[BlockMap]) -> NDArray[np.int32] | None:
    """The records of all maps, or None where one of them needs a list."""
    found = [range_records(each) for each in maps]
    known = [records for records in found if records is not None]
    return np.stack(known).astype(np.int32) if len(known) == len(found) else None


def range_records(each: BlockMap) -> Array | None:
    """[rows, fields of RANGES], or None where a row is not PARTIAL, FULL, PARTIAL without gaps."""
    if not len(each.begin):
        return np.zeros((each.rows, len(RANGES)), dtype=np.int64)
    runs, full = np.diff(each.row_start), each.residual == FULL
    place = np.arange(len(each.begin)) - each.row_start[each.row]
    fulls = np.bincount(each.row[full], minlength=each.rows)
    left = np.minimum(
        runs, 1
    )  # without a FULL run, a PARTIAL run is on the left, and a second one on the right
    left[each.row[full]] = place[full]
    right = runs - left - fulls
    if not each.is_contiguous or max(fulls.max(), left.max(), right.max()) > 1:
        return None
    return _bounds(each, left, fulls, right)


def _bounds(each: BlockMap, left: Array, fulls: Array, right: Array) -> Array:
    """The records of rows with at most one run of each kind. left, fulls, right: whether a row has them."""
    begin, end, residual = (np.append(part, 0) for part in (each.begin, each.end, each.residual))
    start = each.row_start[:-1]
    last = np.maximum(start + left + fulls + right - 1, 0)
    full_first = np.where(left > 0, end[start], begin[start])
    full_end = np.where(fulls > 0, end[start + left], full_first)
    sides = np.where(left > 0, residual[start], 0), np.where(right > 0, residual[last], 0)
    fields = np.stack([begin[start], full_first, full_end, end[last], *sides], axis=1)
    return np.where((left + fulls > 0)[:, None], fields, 0)


def _as_list(maps: Sequence[BlockMap]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The records of all maps, and the one list that they point into."""
    records, tiles, start = [], [], 0
    for each in maps:
        row, column, residual = each.entries()
        full_first = np.argsort(row * 2 + (residual != FULL), kind="stable")
        tiles.append((column + residual.astype(np.int32) * 2**RESIDUAL_SHIFT)[full_first])
        count = np.bincount(row, minlength=each.rows)
        full = np.bincount(row[residual == FULL], minlength=each.rows)
        first = start + np.cumsum(count) - count
        records.append(np.stack([first, first + full, first + count], axis=1))
        start += len(row)
    return np.stack(records).astype(np.int32), np.concatenate([*tiles, [0]]).astype(np.int32)
