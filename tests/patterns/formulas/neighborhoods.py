"""Neighborhood attention and its relatives, built axis by axis from residue classes and groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.patterns.formulas.tables import Mask, per_axis, product


def class_window(length: int, leader: int, window: int) -> range:
    """The `window` places nearest to the leader; an even window has one place more on the left."""
    start = leader - window // 2
    while start < 0:
        start += 1
    while start + window > length:
        start -= 1
    return range(start, start + window)


def gna_axis(extent: int, window: int, stride: int, dilation: int, causal: bool) -> Mask:
    """One axis [extent, extent]: each residue class by itself, its places in groups of `stride`."""
    table = np.zeros((extent, extent), dtype=bool)
    for residue in range(dilation):
        members = list(range(residue, extent, dilation))
        for first in range(0, len(members), stride):
            group = range(first, min(first + stride, len(members)))
            leader = min(first + (stride - 1 if causal else stride // 2), len(members) - 1)
            for place in group:
                early = range(max(leader - window + 1, 0), place + 1)
                seen = early if causal else class_window(len(members), leader, window)
                table[members[place], [members[key] for key in seen]] = True
    return table


def gna_tables(
    shape: tuple[int, ...],
    window: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
    causal: bool | Sequence[bool] = False,
) -> list[Mask]:
    """The table of each axis."""
    rank = len(shape)
    numbers = [per_axis(value, rank) for value in (window, stride, dilation, causal)]
    return [gna_axis(extent, w, s, d, bool(c)) for extent, w, s, d, c in zip(shape, *numbers, strict=True)]


def gna(
    shape: tuple[int, ...],
    window: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
    causal: bool | Sequence[bool] = False,
) -> Mask:
    """Generalized Neighborhood Attention: all axes must agree."""
    return product(gna_tables(shape, window, stride, dilation, causal))


def neighborhood(
    shape: tuple[int, ...], window: int | Sequence[int], dilation: int | Sequence[int] = 1
) -> Mask:
    """Every query leads a group of one."""
    return gna(shape, window, dilation=dilation)


def sta(shape: tuple[int, ...], tile: int | Sequence[int], window: int | Sequence[int]) -> Mask:
    """Whole tiles where the tile divides the extents: as many of them around the query's own as fit."""
    rank = len(shape)
    if any(extent % side for extent, side in zip(shape, per_axis(tile, rank), strict=True)):
        return gna(shape, window, stride=tile)
    sizes = zip(shape, per_axis(tile, rank), per_axis(window, rank), strict=True)
    return product([tiles_axis(extent, side, length) for extent, side, length in sizes])


def tiles_axis(extent: int, tile: int, window: int) -> Mask:
    """One axis of sliding tiles, counted in tiles and blown up to tokens."""
    count, seen = extent // tile, window // tile
    tiles = np.zeros((count, count), dtype=bool)
    for query in range(count):
        center = min(max(query, seen // 2), count - 1 - seen // 2)
        tiles[query, center - seen // 2 : center + seen // 2 + 1] = True
    return tiles.repeat(tile, axis=0).repeat(tile, axis=1)


def blocked(shape: tuple[int, ...], window: int | Sequence[int]) -> Mask:
    """Boxes side by side; queries of a cut-off last box see the last `window` keys."""
    tables = []
    for extent, side in zip(shape, per_axis(window, len(shape)), strict=True):
        table = np.zeros((extent, extent), dtype=bool)
        for first in range(0, extent, side):
            start = max(min(first, extent - side), 0)
            table[first : first + side, start : start + side] = True
        tables.append(table)
    return product(tables)
