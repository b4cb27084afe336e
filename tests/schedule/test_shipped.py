"""Shipped patterns: every tile has exactly the class that the whole mask gives it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl.schedule.build import build
from tests.schedule.brute_force import scheduled_classes, tile_classes

TILES: dict[int, list[tuple[tuple[int, ...], tuple[int, ...]]]] = {
    1: [((16,), (16,)), ((8,), (32,)), ((5,), (7,))],
    2: [((4, 4), (2, 8)), ((1, 16), (1, 16)), ((3, 5), (5, 3))],
    3: [((2, 4, 4), (1, 2, 8)), ((3, 2, 5), (2, 3, 1))],
}

CASES: dict[str, list[dict[str, Any]]] = {
    "attention_tile": [{"shape": (8, 16), "reference": 4}],
    "causal": [{"shape": 64}, {"shape": 1}],
    "crossformer_lda": [{"shape": (16, 16), "group": 4, "interval": 2}],
    "cswin": [{"shape": (16, 16), "stripe": 4, "heads": 4}],
    "dilated_window": [{"shape": 64, "left": 8, "right": 2, "dilation": 3}],
    "frame_causal": [{"shape": (8, 16), "chunk": 2, "window": 4, "sink": 1}],
    "full": [{"shape": (9, 7)}],
    "global_window": [{"shape": 64, "left": 8, "right": 3, "n_global": 5}],
    "gna": [
        {"shape": (13, 19), "window": (5, 6), "stride": (2, 3)},
        {"shape": (13, 19), "window": (3, 4), "stride": (2, 3), "dilation": (2, 3)},
        {"shape": (6, 11, 13), "window": (3, 5, 6), "causal": (True, False, False)},
        {"shape": 150, "window": 50, "stride": 7, "dilation": 3},
        {"shape": 600, "window": 77, "stride": 3},
    ],
    "halo": [{"shape": (16, 16), "block": 4, "halo": 1}],
    "inward_window": [{"shape": (3, 16, 16), "dh": 2, "dw": 3}],
    "longlora": [{"shape": 64, "heads": 2}, {"shape": 64, "heads": 2, "wrap": True}],
    "maxvit_grid": [{"shape": (16, 16), "grid": 4}],
    "moa": [
        {"shape": 256, "heads": 3, "alpha": (0, 64, -28), "beta": (0.25, 0.5, 1.0),
         "block": 16, "sink": 16, "minimum": 32},
    ],
    "prefix_lm": [{"shape": 64, "prefix": 10}],
    "radial": [
        {"shape": (7, 128), "text": 16, "block": 32},
        {"shape": (7, 96), "text": 5, "block": 24, "decay": 0.3, "sink": True},
    ],
    "s2": [
        {"shape": 256, "heads": 4, "kv_heads": 2, "block": 16, "local": 3, "stride": 4, "dense_heads": 1},
        {"shape": 256, "heads": 2, "block": 16, "local": 2, "stride": 3, "causal": False},
    ],
    "shifted_window": [{"shape": (16, 16), "window": 4, "shift": 2}],
    "streaming": [{"shape": 64, "sink": 4, "window": 9}],
    "svg_spatial": [{"shape": (8, 64), "block": 16}],
    "svg_temporal": [{"shape": (8, 64), "block": 16}],
    "video_infinity": [{"shape": 24, "key_shape": 40, "pad": 6}],
}  # fmt: skip


def test_cases_are_shipped_patterns() -> None:
    assert CASES.keys() <= set(attndsl.patterns())


@pytest.mark.parametrize(
    ("name", "numbers"), [(name, numbers) for name, cases in CASES.items() for numbers in cases]
)
def test_classes_are_exact(name: str, numbers: dict[str, Any]) -> None:
    bound = attndsl.pattern(name).bind(**numbers)
    mask = bound.mask()
    rank = len(bound.ir.query_space.segments[0].axes)
    for q_tile, kv_tile in TILES[rank]:
        schedule = build(bound.ir, q_tile, kv_tile)
        np.testing.assert_array_equal(scheduled_classes(schedule, len(mask)), tile_classes(schedule, mask))
        np.testing.assert_array_equal(schedule.to_mask(), mask)
        assert schedule.visible_pairs == mask.sum()


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("kinds", [1, 3, 40])
def test_refined_document_classes_are_exact(kinds: int, causal: bool) -> None:
    bound = attndsl.pattern("document").bind(shape=200, causal=causal)
    random = np.random.default_rng(0).integers(0, kinds, 200)
    for doc in (np.sort(random), random):
        mask = bound.mask(doc=doc)
        schedule = build(bound.ir, 16, 8).refine({"doc": doc})
        np.testing.assert_array_equal(scheduled_classes(schedule, 1), tile_classes(schedule, mask))
        np.testing.assert_array_equal(schedule.to_mask(), mask)
        assert schedule.density == mask.mean()


PUBLISHED = [  # shape, window, stride, q tile, kv tile, all kv tiles, the most that a q tile visits
    ((30, 48, 80), (18, 24, 24), (1, 1, 1), (4, 8, 8), (2, 8, 8), 900, 275),
    ((30, 48, 80), (18, 24, 24), (2, 1, 1), (4, 8, 8), (2, 8, 8), 900, 250),
    ((30, 48, 80), (18, 24, 24), (1, 1, 8), (4, 8, 8), (2, 8, 8), 900, 165),
    ((30, 48, 80), (18, 24, 24), (2, 8, 8), (4, 8, 8), (2, 8, 8), 900, 90),
    ((30, 48, 80), (18, 24, 24), (16, 8, 8), (4, 8, 8), (2, 8, 8), 900, 81),
    ((256, 256), (80, 80), (1, 1), (16, 16), (16, 8), 512, 84),
    ((256, 256), (80, 80), (16, 16), (16, 16), (16, 8), 512, 50),
]


@pytest.mark.parametrize(("shape", "window", "stride", "q_tile", "kv_tile", "dense", "worst"), PUBLISHED)
def test_the_worst_q_tile_visits_what_the_gna_paper_counts(
    shape: Any, window: Any, stride: Any, q_tile: Any, kv_tile: Any, dense: int, worst: int
) -> None:
    bound = attndsl.pattern("gna").bind(shape=shape, window=window, stride=stride)
    schedule = build(bound.ir, q_tile, kv_tile)
    assert (schedule.kv_tiling.tiles, schedule.worst_q_tile_visits) == (dense, worst)
