"""Exact counts of visible pairs, fast also for a million tokens on one axis.

On one axis nearly every comparison is a threshold: for one query the keys that meet it are a range, found
by binary search. A mask is then a few ranges per query, whose union is counted without looking at single
pairs. Masks of other kinds are counted by the scheduler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import BoundIR
from attndsl.ir.evaluate import evaluate
from attndsl.ir.expr import Apply, Const, Expr, Head
from attndsl.ir.ops import OPS
from attndsl.schedule.count import visible_pairs as scheduled_pairs
from attndsl.schedule.decide import conjunction, conjuncts
from attndsl.schedule.residual import atoms
from attndsl.schedule.tiling import Tiling
from attndsl.simulate.thresholds import MIRRORED, Threshold, threshold, thresholds_only

Array = NDArray[Any]

LONG_AXIS = 2**14
"""Axes from this length on are counted by thresholds, if they can be."""

ROWS = 2**17
"""Queries counted at once."""

MOST_CLASSES = 2**12


class OtherMaskError(Exception):
    """The mask is not made of thresholds."""


def visible_pairs(ir: BoundIR, queries: Tiling, keys: Tiling) -> int:
    """Visible pairs of tokens of one head. ir: neither heads nor inputs may take part in its mask.

    queries, keys: tiles in which masks of other kinds are counted; the better they fit the mask the
    faster it is.
    """
    return sum(_region_pairs(replace(ir, regions=(each,), inputs=()), queries, keys) for each in ir.regions)


def _region_pairs(ir: BoundIR, queries: Tiling, keys: Tiling) -> int:
    size = ir.query_space.segments[ir.regions[0].query].size
    if max(size, ir.key_space.size) >= LONG_AXIS:
        try:
            return pairs_of_queries(ir, np.arange(size))
        except OtherMaskError:
            pass
    return scheduled_pairs(ir, queries, keys, None)


def pairs_of_queries(ir: BoundIR, queries: Array) -> int:
    """Visible pairs of some queries, positions in rising order, of a pattern of one region on one axis.

    Raises OtherMaskError where the mask is of another kind.
    """
    region = ir.regions[0]
    query, key = ir.query_space.segments[region.query], ir.key_space.segments[region.key]
    if len(ir.regions) > 1 or len(query.axes) + len(key.axes) > 2 or Head() in region.visible.leaves:
        raise OtherMaskError
    return _count(thresholds_only(region.visible), queries, np.arange(key.size))


def _count(root: Expr, queries: Array, keys: Array) -> int:
    """Visible pairs among coordinates of one axis, both in rising order."""
    for number, factor in enumerate(factors := conjuncts(root)):
        same = _same_class(factor, queries, keys)
        if same is not None:
            rest = conjunction([*factors[:number], *factors[number + 1 :]])
            return sum(_count(rest, own_queries, own_keys) for own_queries, own_keys in same)
    sorted_keys = _Keys(keys)
    return sum(_count_rows(root, queries[i : i + ROWS], sorted_keys) for i in range(0, len(queries), ROWS))


def _same_class(factor: Expr, queries: Array, keys: Array) -> list[tuple[Array, Array]] | None:
    """For `f(query) == g(key)` of which the keys are not in order of g: queries and keys of each value."""
    found = threshold(factor)
    if found is None or found.op != "eq":
        return None
    left, right = _values(found.query, queries), _values(found.key, keys)
    classes = np.unique(right)
    if _is_rising(right) or len(classes) > MOST_CLASSES:
        return None
    return list(zip(_grouped(queries, left, classes), _grouped(keys, right, classes), strict=True))


def _grouped(coordinates: Array, values: Array, classes: Array) -> list[Array]:
    """The coordinates of each class, in rising order."""
    order = np.argsort(values, kind="stable")
    begin, end = (np.searchsorted(values[order], classes, side=side) for side in ("left", "right"))
    return [coordinates[order[b:e]] for b, e in zip(begin, end, strict=True)]


class _Keys:
    """Keys in rising order, and the values of expressions there, which must rise or fall with them."""

    def __init__(self, keys: Array) -> None:
        self.keys = keys
        self._known: dict[Expr, tuple[int, Array]] = {}

    def values(self, expr: Expr) -> tuple[int, Array]:
        """1 and the values, or -1 and the negated values where they fall."""
        if expr not in self._known:
            values = _values(expr, self.keys)
            sign = 1 if _is_rising(values) else -1
            if not _is_rising(sign * values):
                raise OtherMaskError
            self._known[expr] = sign, sign * values
        return self._known[expr]

    def range(self, found: Threshold, queries: Array) -> tuple[Array, Array]:
        """The keys that meet the condition: where they begin and end, for each query."""
        sign, values = self.values(found.key)
        limit = sign * _values(found.query, queries)
        left, right = (np.searchsorted(values, limit, side=side) for side in ("left", "right"))
        none, all_keys = np.zeros_like(left), np.full_like(left, len(values))
        ranges = {
            "lt": (right, all_keys), "le": (left, all_keys), "gt": (none, left), "ge": (none, right),
            "eq": (left, right),
        }  # fmt: skip
        return ranges[found.op if sign > 0 else MIRRORED[found.op]]


def _values(expr: Expr, coordinates: Array) -> Array:
    """The value at each coordinate. The expression mentions positions of one side at most."""
    return np.broadcast_to(np.asarray(evaluate(expr, lambda _: coordinates)), len(coordinates))


def _is_rising(values: Array) -> bool:
    return bool(np.all(values[1:] >= values[:-1]))


def _count_rows(root: Expr, queries: Array, keys: _Keys) -> int:
    """Between two neighbouring ends of any range every comparison stays as it is."""
    ranges = {atom: keys.range(_threshold(atom), queries) for atom in atoms(root)}
    ends = [np.zeros(len(queries), dtype=np.int64), np.full(len(queries), len(keys.keys), dtype=np.int64)]
    points = np.sort(np.stack([*ends, *(end for pair in ranges.values() for end in pair)]), axis=0)
    total = 0
    for begin, end in pairwise(points):
        inside = {atom: (first <= begin) & (begin < last) for atom, (first, last) in ranges.items()}
        total += int(((end - begin) * _holds(root, inside)).sum())
    return total


def _threshold(atom: Expr) -> Threshold:
    found = threshold(atom)
    if found is None:
        raise OtherMaskError
    return found


def _holds(node: Expr, inside: Mapping[Expr, Array]) -> Any:
    """The truth value of the mask, given that of each comparison."""
    if node in inside:
        return inside[node]
    if isinstance(node, Const):
        return node.value
    assert isinstance(node, Apply)
    return OPS[node.op].evaluate(*(_holds(arg, inside) for arg in node.args))
