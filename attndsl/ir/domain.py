"""The abstract values of the interval analysis: strided ranges of numbers and three-valued truth.

Every field is a NumPy array, and one value stands for many boxes of tokens at once. `interval_rules.py`
computes with these values, `intervals.py` evaluates expressions on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LIMIT = 2**60
"""Integer bounds of at most this magnitude cannot overflow inside the rules in 64-bit arithmetic."""


@dataclass(frozen=True, slots=True)
class Strided:
    """Numbers between `lo` and `hi`, both included, of the form `lo + stride * i`.

    stride 0 stands exactly where `lo == hi`. `stride` is None for reals, and for integers of which no
    bounds or no congruence is known; their bounds are float64 and may be infinite.
    """

    lo: Array
    hi: Array
    stride: Array | None


@dataclass(frozen=True, slots=True)
class Truth:
    """A truth value of which only some of (true, false) may be possible."""

    may_hold: Array
    may_fail: Array


Value = Strided | Truth

UNKNOWN_NUMBER = Strided(np.asarray(-np.inf), np.asarray(np.inf), None)
UNKNOWN_TRUTH = Truth(np.asarray(True), np.asarray(True))


def exactly(value: Any) -> Value:
    """The abstract value of known numbers or truth values; an object array holds unlimited integers."""
    array = np.asarray(value)
    if array.dtype == bool:
        return Truth(array, ~array)
    return Strided(array, array, None if array.dtype.kind == "f" else np.zeros_like(array))


def between(lo: Any, hi: Any, stride: Any = 1) -> Strided:
    """Integers `lo, lo + stride, ...` up to `hi`, which need not be one of them."""
    low, high, step = np.asarray(lo), np.asarray(hi), np.asarray(stride)
    high = high - (high - low) % np.maximum(step, 1)
    return Strided(low, high, np.where(low == high, step * 0, step))
