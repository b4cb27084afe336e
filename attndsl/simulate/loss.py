"""What a changed mask loses and gains, counted on all queries or on an even sample of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import BoundIR
from attndsl.ir.evaluate import mask_rows
from attndsl.ir.expr import Apply
from attndsl.simulate.counting import OtherMaskError, pairs_of_queries
from attndsl.simulate.inputs import loosest

THRESHOLD_QUERIES = 2**15
"""Queries of which a mask of thresholds on one axis is counted."""

ENTRIES = 2**21
"""Entries of other masks that are looked at."""

MOST_HEADS = 4

TOGETHER = 32
"""Neighbouring queries that are evaluated together."""

GOLDEN = (5**0.5 - 1) / 2
"""Multiples of the golden ratio spread evenly and follow no period of the mask."""


@dataclass(frozen=True)
class Loss:
    """Visible pairs that are lost and gained, both as shares of the visible pairs of the request."""

    lost: float
    gained: float


def loss(request: BoundIR, changed: BoundIR) -> Loss:
    """What `changed` loses and gains; inputs hide nothing. Exact where all queries are looked at."""
    first, second = loosest(request), loosest(changed)
    both = replace(
        first,
        regions=tuple(
            replace(mine, visible=Apply("and", (mine.visible, other.visible)))
            for mine, other in zip(first.regions, second.regions, strict=True)
        ),
    )
    try:
        queries = sample(first.query_space.size, THRESHOLD_QUERIES)
        return shares(*(pairs_of_queries(ir, queries) for ir in (first, second, both)))
    except OtherMaskError:
        return shares(*_sampled_pairs(first, second))


def shares(before: float, after: float, both: float) -> Loss:
    """The loss from the numbers of visible pairs before, after, and in both masks."""
    return Loss((before - both) / before, (after - both) / before) if before else Loss(0.0, float(after > 0))


def sample(size: int, count: int) -> NDArray[np.int64]:
    """At most `count` of the numbers below `size`, in rising order."""
    if size <= count:
        return np.arange(size)
    return np.unique((np.arange(count) * GOLDEN % 1 * size).astype(np.int64))


def _sampled_pairs(first: BoundIR, second: BoundIR) -> tuple[int, int, int]:
    """Visible pairs of some queries and heads: in the first mask, in the second, and in both."""
    before = after = both = 0
    size, heads = first.query_space.size, sample(first.heads, MOST_HEADS)
    rows = max(1, ENTRIES // (first.key_space.size * len(heads)))
    together = min(TOGETHER, rows)
    for head in heads.tolist():
        for group in sample(-(-size // together), rows // together).tolist():
            start, stop = group * together, min((group + 1) * together, size)
            mine, other = (mask_rows(ir, head, start, stop, {}) for ir in (first, second))
            before, after = before + int(mine.sum()), after + int(other.sum())
            both += int((mine & other).sum())
    return before, after, both
