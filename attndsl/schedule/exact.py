"""Sub-expressions evaluated exactly at every combination of their coordinates, and summarised per box.

Arrays have one dimension per axis of the region (query axes, then key axes), of size 1 where the value does
not depend on that axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.evaluate import evaluate
from attndsl.ir.expr import Expr
from attndsl.ir.interval_rules import gcd
from attndsl.ir.intervals import Strided, Truth, Value, exactly
from attndsl.schedule.tiling import Indices

Array = NDArray[Any]

CHUNK = 2**18
"""Entries evaluated at once, so that intermediate values stay in the processor's cache."""


def evaluate_exactly(expr: Expr, leaves: Mapping[Expr, Array]) -> Array:
    """The value at every combination of coordinates. leaves: values of each leaf along its dimensions."""
    shape = np.broadcast_shapes(*(array.shape for array in leaves.values()))
    longest = int(np.argmax(shape))
    rows = max(1, CHUNK * shape[longest] // int(np.prod(shape)))
    pieces = [_piece(expr, leaves, longest, slice(i, i + rows)) for i in range(0, shape[longest], rows)]
    return np.concatenate(pieces, axis=longest) if len(pieces) > 1 else pieces[0]


def _piece(expr: Expr, leaves: Mapping[Expr, Array], dimension: int, part: slice) -> Array:
    index = (slice(None),) * dimension + (part,)
    known = {leaf: array[index] if array.shape[dimension] > 1 else array for leaf, array in leaves.items()}
    with np.errstate(all="ignore"):
        return np.asarray(evaluate(expr, known.__getitem__))


def summarise(value: Value, starts: Sequence[Indices]) -> Value:
    """The values inside boxes; along each dimension, `starts` gives where each box begins."""
    for dimension, begin in enumerate(starts):
        size = (value.may_hold if isinstance(value, Truth) else value.lo).shape[dimension]
        if 1 < size != len(begin):
            value = _joined(value, dimension, begin)
    return value


def _joined(value: Value, dimension: int, begin: Indices) -> Value:
    if isinstance(value, Truth):
        may_hold = np.logical_or.reduceat(value.may_hold, begin, axis=dimension)
        return Truth(may_hold, np.logical_or.reduceat(value.may_fail, begin, axis=dimension))
    lo = np.minimum.reduceat(value.lo, begin, axis=dimension)
    hi = np.maximum.reduceat(value.hi, begin, axis=dimension)
    if value.stride is None:
        broken = np.isnan(lo) | np.isnan(hi)
        return Strided(np.where(broken, -np.inf, lo), np.where(broken, np.inf, hi), None)
    distance = np.abs(np.diff(value.lo, axis=dimension, prepend=0))
    np.moveaxis(distance, dimension, 0)[begin] = 0  # the first of a box has no neighbour before it
    steps = gcd(value.stride, distance)
    join = np.maximum if steps.max(initial=0) <= 1 else np.gcd  # np.gcd is slow, and steps are mostly 0 or 1
    return Strided(lo, hi, join.reduceat(steps, begin, axis=dimension))


def sample(array: Array, places: Sequence[Indices]) -> Value:
    """The values at one coordinate per box; `places` gives it along each dimension."""
    for dimension, place in enumerate(places):
        if array.shape[dimension] > 1:
            array = array.take(place, axis=dimension)
    return exactly(array)
