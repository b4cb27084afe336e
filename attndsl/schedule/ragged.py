"""Lists of different lengths, one after the other in flat arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def ragged(lengths: NDArray[Any]) -> tuple[Indices, Indices]:
    """For each element of lists of these lengths, the number of its list and its place inside it."""
    lengths = lengths.astype(np.int64)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    return owner, np.arange(len(owner)) - (np.cumsum(lengths) - lengths)[owner]


def row_major(coordinates: list[Indices], grid: tuple[int, ...]) -> Indices:
    """The number of a place in a grid, from its coordinates."""
    number = coordinates[0]
    for coordinate, size in zip(coordinates[1:], grid[1:], strict=True):
        number = number * size + coordinate
    return number
