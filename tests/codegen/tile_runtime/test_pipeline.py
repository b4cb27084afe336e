"""The pipeline: every item runs once, and none uses what is not prepared yet or is already overwritten."""

from __future__ import annotations

import numpy as np
import pytest

from tests.codegen.tile_runtime.arrays import Array, Call

SIZES = {
    "one group": (3, 3, 1, 5, 7),
    "two buffers": (12, 1, 2, 5, 7),
    "one buffer": (12, 2, 1, 5, 7),
    "a smaller last group": (11, 3, 2, 4, 9),
    "nothing to prepare": (9, 2, 2, 0, 6),
    "nothing to use": (9, 2, 2, 6, 0),
    "more to prepare than to use": (20, 1, 2, 20, 1),
}
"""Pairs, pairs of a group, buffers, items that prepare a pair, items that use it."""


def run(runtime: Call, sizes: tuple[int, ...], threads: int) -> tuple[Array, int]:
    """The items in the order of their end, [kind, pair, place, item], and how many uses met a wrong tile."""
    events = np.full((sizes[0] * (sizes[3] + sizes[4]), 4), -1, dtype=np.int64)
    errors = runtime("run_pipeline", events, np.array(sizes, dtype=np.int64), threads)
    return events, errors


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_every_item_runs_once(runtime: Call, sizes: tuple[int, ...], threads: int) -> None:
    pairs, _, _, prepares, uses = sizes
    events, _ = run(runtime, sizes, threads)
    ran = sorted((kind, pair, item) for kind, pair, _, item in events.tolist())
    wanted = [(0, p, i) for p in range(pairs) for i in range(prepares)]
    wanted += [(1, p, i) for p in range(pairs) for i in range(uses)]
    assert ran == wanted


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_a_use_finds_its_own_pair_prepared(runtime: Call, sizes: tuple[int, ...], threads: int) -> None:
    for _ in range(20):
        assert run(runtime, sizes, threads)[1] == 0


def test_pairs_of_different_buffers_have_different_places(runtime: Call) -> None:
    events, _ = run(runtime, (11, 3, 2, 4, 9), 2)
    places = {pair: place for _, pair, place, _ in events.tolist()}
    assert places == {pair: pair // 3 % 2 * 3 + pair % 3 for pair in range(11)}
