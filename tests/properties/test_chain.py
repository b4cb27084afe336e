"""The oracle chain on random patterns: the schedule equals the mask, and tile classes are exact."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import attndsl
from attndsl.pipeline import Bound
from attndsl.schedule.schedule import Schedule
from attndsl.schedule.tiling import Tiling
from tests.properties.strategies_language import RandomPattern, patterns


def scheduled(pattern: RandomPattern, data: st.DataObject) -> tuple[Bound, Schedule]:
    """The bound pattern and a schedule with random tiles."""
    bound: Bound = attndsl.parse(pattern.text).bind(**pattern.numbers)
    tiles = st.tuples(*(st.integers(1, 5) for _ in pattern.numbers["shape"]))
    return bound, bound.schedule(q_tile=data.draw(tiles), kv_tile=data.draw(tiles))


def tile_of_tokens(tiling: Tiling) -> NDArray[np.int64]:
    """The tile of each token, [tokens]."""
    tokens, counts = tiling.tokens()
    result = np.empty(int(counts.sum()), dtype=np.int64)
    for tile, (row, count) in enumerate(zip(tokens, counts, strict=True)):
        result[row[:count]] = tile
    return result


def classes(mask: NDArray[np.bool_], schedule: Schedule) -> tuple[int, int]:
    """The numbers of FULL and PARTIAL tiles of one head's mask, by brute force."""
    q, kv = tile_of_tokens(schedule.q_tiling), tile_of_tokens(schedule.kv_tiling)
    shape = (q.max(initial=-1) + 1, kv.max(initial=-1) + 1)
    visible, pairs = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    np.add.at(visible, (q[:, None], kv[None, :]), mask)
    np.add.at(pairs, (q[:, None], kv[None, :]), 1)
    return int((visible == pairs).sum()), int(((visible > 0) & (visible < pairs)).sum())


@settings(max_examples=250, deadline=None)
@given(patterns(), st.data())
def test_schedules_are_exact(pattern: RandomPattern, data: st.DataObject) -> None:
    bound, schedule = scheduled(pattern, data)
    mask = bound.mask()
    np.testing.assert_array_equal(schedule.to_mask(), mask)
    counted = np.sum([classes(head, schedule) for head in mask], axis=0)
    assert (schedule.full_tiles, schedule.partial_tiles) == tuple(counted)
    assert schedule.density == mask.mean()


@settings(max_examples=100, deadline=None)
@given(patterns())
def test_schedules_with_chosen_tiles_are_exact(pattern: RandomPattern) -> None:
    bound = attndsl.parse(pattern.text).bind(**pattern.numbers)
    np.testing.assert_array_equal(bound.schedule().to_mask(), bound.mask())
