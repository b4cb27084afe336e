"""Counting by thresholds: equal to the mask written out, for every way a comparison can be written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl.ir.evaluate import mask_rows
from attndsl.schedule.heads import head_classes
from attndsl.simulate.counting import OtherMaskError, pairs_of_queries, visible_pairs
from attndsl.simulate.speedup import one_head

MASKS = [
    "k.n <= q.n",
    "q.n - k.n < 7",
    "abs(q.n - k.n) <= 5",
    "5 < abs(q.n - k.n)",
    "abs(q.n - k.n) >= 9 or k.n == 3",
    "q.n != k.n",
    "not (k.n < q.n - 4) and (k.n < 3 or 2 * k.n > q.n)",
    "k.n // 8 == q.n // 8",
    "k.n % 5 == q.n % 5 and k.n // 5 > q.n // 5 - 3",
    "-k.n < 4 - q.n",
    "(k.n < q.n) == (q.n < 20)",
    "k.n < 9 if q.n % 2 == 0 else k.n > q.n",
    "k.n + q.n < 50",
    "0.5 * k.n <= q.n",
    "true",
    "false",
]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("tokens", [1, 37, 64])
def test_pairs_are_those_of_the_mask(mask: str, tokens: int) -> None:
    ir = attndsl.parse(f"pattern local():\n    space tokens(n)\n    attend {mask}\n").bind(shape=tokens).ir
    rows = mask_rows(ir, 0, 0, tokens, {})
    some = np.arange(0, tokens, 3)
    assert pairs_of_queries(ir, np.arange(tokens)) == rows.sum()
    assert pairs_of_queries(ir, some) == rows[some].sum()


@pytest.mark.parametrize("mask", ["(q.n + k.n) % 3 == 0", "k.n * q.n < 50", "k.n % 3 < q.n % 3"])
def test_other_masks_are_refused_and_counted_by_the_scheduler(mask: str) -> None:
    bound = attndsl.parse(f"pattern local():\n    space tokens(n)\n    attend {mask}\n").bind(shape=50)
    with pytest.raises(OtherMaskError):
        pairs_of_queries(bound.ir, np.arange(50))
    schedule = bound.schedule(8, 8)
    assert visible_pairs(bound.ir, schedule.q_tiling, schedule.kv_tiling) == bound.mask().sum()


LONG: list[tuple[str, dict[str, Any], float]] = [
    ("causal", {}, (2**20 + 1) / 2),
    ("sliding_window", {"left": 1000}, 1001 - 1001 * 1000 / 2 / 2**20),
    ("gna", {"window": 4096, "dilation": 8, "stride": 3}, 4096),
    ("blocked", {"window": 2**14}, 2**14),
]


@pytest.mark.parametrize(("name", "numbers", "keys"), LONG, ids=[name for name, *_ in LONG])
def test_a_million_tokens_on_one_axis(name: str, numbers: dict[str, Any], keys: float) -> None:
    bound = attndsl.pattern(name).bind(shape=2**20, **numbers)
    assert pairs_of_queries(bound.ir, np.arange(2**20)) == pytest.approx(keys * 2**20, rel=1e-12)


def test_one_head_of_a_pattern_has_the_mask_of_that_head() -> None:
    bound = attndsl.pattern("moa").bind(
        shape=96, heads=3, alpha=(0, 32, 64), beta=(0, 0, 0), block=8, sink=8, minimum=16
    )
    classes, _ = head_classes(bound.ir)
    counts = [pairs_of_queries(one_head(bound.ir, each), np.arange(96)) for each in classes]
    assert counts == bound.mask().sum(axis=(1, 2)).tolist()
