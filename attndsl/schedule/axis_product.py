"""Classification of masks that are products over the axes.

A pair of tiles is FULL if it is FULL on every axis and EMPTY if it is EMPTY on any. Each axis is classified
alone, then the runs of the last axis are repeated for every combination of tiles on the others: the work is
as large as the block map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.expr import TRUE, Const, Expr, Position
from attndsl.passes.simplify import substitute
from attndsl.schedule.classify import classify
from attndsl.schedule.partial import Mask, distinct_codes, statuses
from attndsl.schedule.ragged import ragged
from attndsl.schedule.region import Region
from attndsl.schedule.residual import ResidualTable, choices, decode
from attndsl.schedule.runs import Runs, box_runs
from attndsl.schedule.separable import Component, axis_problem

Array = NDArray[Any]
Decided = Mapping[Expr, Expr]


@dataclass(frozen=True)
class AxisTable:
    """The class of every pair of tiles of one component.

    table: int64 [q tiles or 1, kv tiles or 1]; 0 is EMPTY, 1 FULL, others are PARTIAL. decided: for each
    class, the parts of the mask that are decided in it.
    """

    table: Array
    decided: list[Decided]


def _axis_table(region: Region, mask: Mask, part: Component) -> AxisTable:
    axis, root, renamed = axis_problem(region, part)
    classified = classify(axis, root)
    table = np.zeros((axis.tilings[0].tiles, axis.tilings[1].tiles), dtype=np.int64)
    for boxes in classified.full:
        _, row, begin, end = box_runs(boxes)
        owner, inside = ragged(end - begin)
        table[row[owner], begin[owner] + inside] = 1
    own = {name: expr for name, expr in mask.atoms.items() if _mentions_only(expr, renamed)}
    (partial,) = classified.partial  # tiles only: no factor depends on inputs
    codes = statuses(axis, [substitute(expr, renamed) for expr in own.values()], partial)
    distinct, index = distinct_codes(codes)
    table[partial.query, partial.key] = index + 2
    full: Decided = dict.fromkeys(part.factors, TRUE)
    return AxisTable(table, [{}, full, *(decode(code, list(own)) for code in distinct)])


def _mentions_only(expr: Expr, positions: Mapping[Expr, Expr]) -> bool:
    mentioned = [leaf for leaf in expr.leaves if isinstance(leaf, Position)]
    return bool(mentioned) and all(leaf in positions for leaf in mentioned)


@dataclass(frozen=True, eq=False)
class _Product:
    """Partial boxes: a q tile, the kv tile numbers along the key axes so far, and the encoded classes."""

    row: Array
    number: Array
    code: Array

    def extended(self, pick: Array, number: Array, classes: AxisTable, status: Array) -> _Product:
        """Goes on with the picked entries, one axis further."""
        code = self.code[pick] * len(classes.decided) + status
        return _Product(self.row[pick], number, code)


def add_product(
    runs: Runs,
    region: Region,
    mask: Mask,
    parts: list[Component],
    residuals: ResidualTable,
    origin: tuple[int, int],
) -> None:
    """Adds the runs of a region whose mask is the product of `parts`."""
    tables = [_axis_table(region, mask, part) for part in parts]
    grid = region.tilings[1].grid
    zero = np.zeros(region.tilings[0].tiles, dtype=np.int64)
    product = _Product(np.arange(len(zero)), zero, zero)
    keys = len(grid)
    for part, table in zip(parts[keys:], tables[keys:], strict=True):
        status = table.table[_tile_on_axis(region, product.row, part.query), 0]
        pick = np.flatnonzero(status)
        product = product.extended(pick, product.number[pick], table, status[pick])
    for part, table, size in zip(parts[: keys - 1], tables, grid, strict=False):
        product = _extended_by_tiles(product, _tile_on_axis(region, product.row, part.query), table, size)
    product, begin, end = _extended_by_runs(
        product, _tile_on_axis(region, product.row, parts[keys - 1].query), tables[keys - 1], grid[-1]
    )
    order = [*tables[keys:], *tables[:keys]]
    numbers = _number(mask, order, product.code, end - begin, residuals)
    runs.add(product.row + origin[0], begin + origin[1], end + origin[1], numbers)


def _tile_on_axis(region: Region, row: Array, axis: int | None) -> Array:
    """The tile number along one query axis of each q tile; 0 where no axis takes part."""
    if axis is None:
        return np.zeros_like(row)
    grid = region.tilings[0].grid
    return row // int(np.prod(grid[axis + 1 :])) % grid[axis]


def _extended_by_tiles(product: _Product, tile: Array, table: AxisTable, size: int) -> _Product:
    """Every visited tile of a further key axis. tile: the q tile's number on the partner axis."""
    row, column = np.nonzero(table.table)
    count = np.bincount(row, minlength=len(table.table))
    owner, inside = ragged(count[tile])
    entry = (np.cumsum(count) - count)[tile][owner] + inside
    number = product.number[owner] * size + column[entry]
    return product.extended(owner, number, table, table.table[row[entry], column[entry]])


def _extended_by_runs(
    product: _Product, tile: Array, table: AxisTable, size: int
) -> tuple[_Product, Array, Array]:
    """Every run of equal class along the last key axis: the products, and where the runs begin and end."""
    row, begin, end = _class_runs(table.table)
    count = np.bincount(row, minlength=len(table.table))
    owner, inside = ragged(count[tile])
    entry = (np.cumsum(count) - count)[tile][owner] + inside
    number = product.number[owner] * size
    extended = product.extended(owner, number, table, table.table[row[entry], begin[entry]])
    return extended, number + begin[entry], number + end[entry]


def _class_runs(table: Array) -> tuple[Array, Array, Array]:
    """Runs of equal class that is not EMPTY: row, begin and end column."""
    changes = np.ones((len(table), table.shape[1] + 1), dtype=bool)
    changes[:, 1:-1] = table[:, 1:] != table[:, :-1]
    row, column = np.nonzero(changes)
    inner = column < table.shape[1]
    begin, end = column[inner], np.roll(column, -1)[inner]
    visited = table[row[inner], begin] > 0
    return row[inner][visited], begin[visited], end[visited]


def _number(
    mask: Mask, tables: list[AxisTable], codes: Array, tiles: Array, residuals: ResidualTable
) -> Array:
    """The provisional residual number of each product of classes."""
    distinct, index = distinct_codes(codes)
    weights = np.bincount(index, tiles, minlength=len(distinct))
    numbers = []
    for code, weight in zip(distinct, weights.astype(int).tolist(), strict=True):
        classes = _classes(code, tables)
        decided = {
            part: value
            for table, c in zip(tables, classes, strict=True)
            for part, value in table.decided[c].items()
        }
        known = {atom: own for atom, own in mask.atoms.items() if isinstance(own, Const)}
        full = all(c == 1 for c in classes)
        numbers.append(
            0 if full else residuals.add(choices(mask.whole, known | decided, mask.region), weight)
        )
    return np.asarray(numbers, dtype=np.int32)[index]


def _classes(code: int, tables: list[AxisTable]) -> list[int]:
    """The class on each axis of an encoded product."""
    classes = []
    for table in reversed(tables):
        code, status = divmod(code, len(table.decided))
        classes.append(status)
    return classes[::-1]
