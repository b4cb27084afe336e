"""Building masks from small pieces: per-axis tables, labels, and blocks blown up to tokens.

Nothing here knows attndsl: the formulas of this folder are the other side of every comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Mask: TypeAlias = npt.NDArray[np.bool_]
Numbers: TypeAlias = npt.NDArray[np.int64]


def from_keys(keys: Sequence[Sequence[int]], n_keys: int) -> Mask:
    """The mask whose row i shows exactly the keys `keys[i]`."""
    mask = np.zeros((len(keys), n_keys), dtype=bool)
    for query, seen in enumerate(keys):
        mask[query, list(seen)] = True
    return mask


def product(tables: Sequence[Mask]) -> Mask:
    """All axes must agree: the mask over row-major tokens of per-axis tables [extent, extent]."""
    return reduce(lambda left, right: np.kron(left, right).astype(bool), tables)


def same_label(labels: Numbers) -> Mask:
    """Tokens with the same label see each other; the labels lie in the shape of the space."""
    flat = labels.ravel()
    return np.equal.outer(flat, flat)


def blow_up(blocks: Mask, block: int, n: int) -> Mask:
    """Each entry of a block mask becomes block x block tokens; what lies beyond n tokens is cut off."""
    return blocks.repeat(block, axis=-2).repeat(block, axis=-1)[..., :n, :n]


def per_axis(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """One number for each axis."""
    return (value,) * rank if isinstance(value, int) else tuple(value)
