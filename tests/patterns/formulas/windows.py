"""Windows of images and video: tokens get the number of their window, and equal numbers see each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from itertools import product as pairs

import numpy as np

from tests.patterns.formulas.tables import Mask, Numbers, per_axis, product, same_label


def number_boxes(shape: tuple[int, int], cuts: tuple[Sequence[int], Sequence[int]]) -> Numbers:
    """An image [height, width] in which each box between two cuts has its own number."""
    labels = np.full(shape, -1, dtype=np.int64)
    rows, columns = ([*pairwise(cut)] for cut in cuts)
    for number, ((top, bottom), (left, right)) in enumerate(pairs(rows, columns)):
        labels[top:bottom, left:right] = number
    return labels


def cut_every(extent: int, size: int, first: int = 0) -> list[int]:
    """0, then `first`, `first + size`, ..., then the extent, each once."""
    return sorted({0, *range(first, extent, size), extent})


def window(shape: tuple[int, int], window: int | Sequence[int]) -> Mask:
    """Windows from the corner on."""
    return shifted_window(shape, window, shift=0)


def shifted_window(shape: tuple[int, int], window: int | Sequence[int], shift: int | Sequence[int]) -> Mask:
    """Windows whose first whole one begins at `shift`."""
    sizes = zip(shape, per_axis(window, 2), per_axis(shift, 2), strict=True)
    rows, columns = (cut_every(extent, size, first) for extent, size, first in sizes)
    return same_label(number_boxes(shape, (rows, columns)))


def halo(shape: tuple[int, int], block: int | Sequence[int], halo: int | Sequence[int]) -> Mask:
    """Block by block: its rows of the table show the block and `halo` keys on both sides."""
    tables = []
    for extent, size, reach in zip(shape, per_axis(block, 2), per_axis(halo, 2), strict=True):
        table = np.zeros((extent, extent), dtype=bool)
        for start in range(0, extent, size):
            table[start : start + size, max(start - reach, 0) : start + size + reach] = True
        tables.append(table)
    return product(tables)


def cswin(shape: tuple[int, int], stripe: int, heads: int) -> Mask:
    """[heads, N, N]: rows for the first half of the heads, columns for the second."""
    height, width = shape
    rows = same_label(number_boxes(shape, (cut_every(height, stripe), [0, width])))
    columns = same_label(number_boxes(shape, ([0, height], cut_every(width, stripe))))
    return np.stack([rows] * (heads // 2) + [columns] * (heads - heads // 2))


def number_sets(shape: tuple[int, int], sets: Iterable[tuple[slice, slice]]) -> Numbers:
    """An image in which each of the strided sets has its own number."""
    labels = np.full(shape, -1, dtype=np.int64)
    for number, where in enumerate(sets):
        labels[where] = number
    return labels


def maxvit_grid(shape: tuple[int, int], grid: int | Sequence[int]) -> Mask:
    """Strided sets: one for each place inside a cell of the grid."""
    cell = [extent // count for extent, count in zip(shape, per_axis(grid, 2), strict=True)]
    places = pairs(range(cell[0]), range(cell[1]))
    sets = ((slice(y, None, cell[0]), slice(x, None, cell[1])) for y, x in places)
    return same_label(number_sets(shape, sets))


def crossformer_lda(shape: tuple[int, int], group: int, interval: int) -> Mask:
    """Inside each square of group * interval: one strided set for each place inside an interval."""
    side = group * interval
    corners = pairs(range(0, shape[0], side), range(0, shape[1], side))
    places = [*pairs(range(interval), range(interval))]
    sets = (
        (slice(top + y, top + side, interval), slice(left + x, left + side, interval))
        for top, left in corners
        for y, x in places
    )
    return same_label(number_sets(shape, sets))


def inward_window(shape: tuple[int, int, int], dh: int, dw: int) -> Mask:
    """A window of 2 d + 1 rows (columns), moved until it lies inside the frame; every frame."""
    frames, *sides = shape
    tables = [np.ones((frames, frames), dtype=bool)]
    for extent, reach in zip(sides, (dh, dw), strict=True):
        table = np.zeros((extent, extent), dtype=bool)
        for query in range(extent):
            missing_left, missing_right = max(reach - query, 0), max(query + reach - extent + 1, 0)
            table[query, query - reach + missing_left - missing_right :][: 2 * reach + 1] = True
        tables.append(table)
    return product(tables)
