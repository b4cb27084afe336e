"""What tests of the tile runtime share: element types, memory layouts, the error a product may have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Call = Callable[..., int]
"""Calls a function of the harness by its name; arrays are passed by their address."""
EPSILON = float(np.finfo(np.float32).eps)
ELEMENTS = ("float", "bfloat16", "float16")

LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "contiguous": lambda tensor: tensor,
    "heads inside tokens": lambda tensor: np.repeat(tensor, 3, axis=0)[::3],
    "channels first": lambda tensor: np.ascontiguousarray(tensor.T).T,
    "every second channel": lambda tensor: np.repeat(tensor, 2, axis=1)[:, ::2],
    "backwards": lambda tensor: np.ascontiguousarray(tensor[::-1, ::-1])[::-1, ::-1],
}
"""Ways in which a matrix [tokens, channels] may lie in memory."""


def random(*shape: int, seed: int = 0) -> Array:
    """Normally distributed float32 numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def strides(tensor: Array) -> Array:
    """Strides in elements, as the runtime takes them."""
    return np.array(tensor.strides, dtype=np.int64) // tensor.itemsize


def to_bfloat16(values: Array) -> Array:
    """The bits of float32 numbers rounded to the nearest bfloat16, ties to even."""
    bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bfloat16(bits: Array) -> Array:
    """Float32 numbers from the bits of bfloat16."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def encode(values: Array, element: str) -> Array:
    """Float32 numbers in an element type of the runtime."""
    if element == "bfloat16":
        return to_bfloat16(values)
    return values.astype(np.float16 if element == "float16" else np.float32)


def decode(stored: Array, element: str) -> Array:
    """Float32 numbers from an element type of the runtime."""
    return from_bfloat16(stored) if element == "bfloat16" else stored.astype(np.float32)


def assert_product(found: Array, left: Array, right: Array, start: Array | float = 0.0) -> None:
    """Check found == start + left . right, up to the rounding of float32 sums in any order."""
    left, right = left.astype(np.float64), right.astype(np.float64)
    bound = (left.shape[1] + 4) * EPSILON * (np.abs(start) + np.abs(left) @ np.abs(right))
    assert (np.abs(found - (start + left @ right)) <= bound).all()
