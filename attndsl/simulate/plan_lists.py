"""What one head of a plan lists, whether a caller gave the plan or it was drawn at random."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.plan import Plan, as_numpy

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Lists:
    """Pairs of a query unit and a key unit that it lists.

    rows: the query units that were looked at, ascending. weights: float64, how many query units each of them
    stands for. row: for every pair the place of its query unit in `rows`, ascending. key: its key unit.
    """

    rows: Array
    weights: Array
    row: Array
    key: Array

    def chunks(self, starts: Array) -> Iterator[Lists]:
        """Parts that begin at some places of `rows`, the first of which is 0."""
        bounds = np.searchsorted(self.row, np.append(starts, len(self.rows)))
        ends = [*starts[1:].tolist(), len(self.rows)]
        for begin, end, first, last in zip(starts.tolist(), ends, bounds[:-1], bounds[1:], strict=True):
            row = self.row[first:last] - begin
            yield Lists(self.rows[begin:end], self.weights[begin:end], row, self.key[first:last])


def lists_of_plan(plan: Plan, batch: int, head: int) -> Lists:
    """One list head of a plan."""
    lists = as_numpy(plan.indices)[batch, head]
    row, place = np.nonzero(lists >= 0)
    units = np.arange(plan.query_units)
    return Lists(units, np.ones(len(units)), row, lists[row, place].astype(np.int64))


def with_rest(lists: Lists, routed: tuple[int, int], units: tuple[int, int]) -> Lists:
    """The lists with the units of other segments, which list and are listed by all.

    routed: the numbers of query and key units that the lists are about. units: those of all segments.
    """
    rest_rows, rest_keys = units[0] - routed[0], units[1] - routed[1]
    if not rest_rows and not rest_keys:
        return lists
    count = len(lists.rows)
    row = np.concatenate(
        [
            lists.row,
            np.repeat(np.arange(count), rest_keys),
            np.repeat(count + np.arange(rest_rows), units[1]),
        ]
    )
    key = np.concatenate(
        [
            lists.key,
            np.tile(np.arange(routed[1], units[1]), count),
            np.tile(np.arange(units[1]), rest_rows),
        ]
    )
    order = np.argsort(row, kind="stable")
    rows = np.concatenate([lists.rows, np.arange(routed[0], units[0])])
    return Lists(rows, np.concatenate([lists.weights, np.ones(rest_rows)]), row[order], key[order])
