"""The hand-written FlexAttention masks are the patterns that the benchmark says they are."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pytest

import attndsl
from benchmarks.cases import CASES, Case
from benchmarks.contenders import dense_mask
from benchmarks.flex_masks import neighborhood, sliding_window


def neighborhood_by_search(extent: int, window: int, dilation: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """One axis, token by token: `window` keys of the query's residue, from half a window before it."""
    mask = np.zeros((extent, extent), dtype=bool)
    for query in range(extent):
        keys = range(query % dilation, extent, dilation)
        first = min(max(keys.index(query) - window // 2, 0), len(keys) - window)
        mask[query, list(keys)[first : first + window]] = True
    return mask


@pytest.mark.parametrize(
    ("shape", "window", "dilation"),
    [((16,), (5,), 1), ((8, 8), (3, 5), 1), ((8, 12), (2, 3), 4), ((4, 6, 8), (4, 2, 8), 1)],
)
def test_neighborhood_takes_the_nearest_keys(
    shape: tuple[int, ...], window: tuple[int, ...], dilation: int
) -> None:
    case = Case("small", "gna", shape, neighborhood(shape, window, dilation), 1.0)
    axes = [
        neighborhood_by_search(extent, size, dilation) for extent, size in zip(shape, window, strict=True)
    ]
    mask = dense_mask(case)
    assert mask is not None
    assert np.array_equal(mask[0, 0].numpy(), reduce(np.kron, axes))


def test_sliding_window_counts_keys_on_both_sides() -> None:
    mask = dense_mask(Case("small", "sliding_window", (6,), sliding_window(1, 2), 1.0))
    assert mask is not None
    assert mask[0, 0, 3].tolist() == [False, False, True, True, True, True]


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case.mask], ids=lambda case: case.name)
def test_every_case_means_the_same_to_both(case: Case) -> None:
    bound = attndsl.pattern(case.pattern).bind(shape=case.shape, heads=4, **case.parameters)
    mask = dense_mask(case)
    assert mask is not None
    assert np.array_equal(bound.mask()[0], mask[0, 0].numpy())
