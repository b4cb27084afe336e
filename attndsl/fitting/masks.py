"""The rows of all candidates' masks at the sampled queries, each kind of row once, one bit per key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attndsl.fitting.sample_file import Array
from attndsl.ir.bound import BoundIR
from attndsl.ir.evaluate import mask_of_queries
from attndsl.schedule.heads import head_classes

ENTRIES = 2**24
"""Numbers that one block of rows may take, over all heads or masks."""


@dataclass(frozen=True)
class Rows:
    """Mask rows that some heads of a candidate share. bits: uint8 [queries, ceil(keys / 8)]."""

    candidate: int
    heads: tuple[int, ...]
    keys: int
    bits: NDArray[np.uint8]
    looks_ahead: bool
    """Whether a query sees a key that comes after it."""

    def unpack(self, first: int, last: int) -> NDArray[np.uint8]:
        """The rows from `first` to `last`, 0 or 1, uint8 [rows, keys]."""
        return np.unpackbits(self.bits[first:last], axis=1, count=self.keys)


def rows_of(number: int, ir: BoundIR, queries: NDArray[np.int64]) -> list[Rows]:
    """The rows of candidate `number`, for each class of heads with equal masks."""
    classes, class_of_head = head_classes(ir)
    return [
        _rows(number, ir, each.head, np.flatnonzero(class_of_head == place), queries)
        for place, each in enumerate(classes)
    ]


def _rows(number: int, ir: BoundIR, head: int, heads: Array, queries: NDArray[np.int64]) -> Rows:
    keys = ir.key_space.size
    bits, looks_ahead = [], False
    for block in blocks(len(queries), keys):
        chosen = queries[block]
        mask = mask_of_queries(ir, head, chosen, {})
        looks_ahead = looks_ahead or bool((mask & (np.arange(keys) > chosen[:, None])).any())
        bits.append(np.packbits(mask, axis=1))
    return Rows(number, tuple(heads.tolist()), keys, np.concatenate(bits), looks_ahead)


def blocks(rows: int, width: int) -> list[slice]:
    """Runs of rows, of `width` numbers each, that fit into memory together."""
    step = max(1, ENTRIES // width)
    return [slice(first, min(first + step, rows)) for first in range(0, rows, step)]


def by_heads(rows: Sequence[Rows]) -> dict[tuple[int, ...], list[Rows]]:
    """The rows of the same heads together: they are measured at once."""
    grouped: dict[tuple[int, ...], list[Rows]] = {}
    for each in rows:
        grouped.setdefault(each.heads, []).append(each)
    return grouped
