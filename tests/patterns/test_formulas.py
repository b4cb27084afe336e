"""The formulas themselves, against rows worked out by hand: so that both sides cannot be wrong alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.patterns.formulas import FORMULAS, Mask
from tests.patterns.formulas.one_dimensional import document
from tests.patterns.formulas.per_head import longlora, moa, s2


def rows(mask: Mask) -> list[list[int]]:
    """The keys that each query sees."""
    return [np.flatnonzero(row).tolist() for row in mask]


@pytest.mark.parametrize(
    ("name", "numbers", "query", "keys"),
    [
        ("sliding_window", {"shape": (8,), "left": 2, "right": 1}, 4, [2, 3, 4, 5]),
        ("dilated_window", {"shape": (12,), "left": 1, "right": 1, "dilation": 3}, 4, [1, 4, 7]),
        ("streaming", {"shape": (12,), "sink": 2, "window": 3}, 9, [0, 1, 7, 8, 9]),
        ("prefix_lm", {"shape": (6,), "prefix": 3}, 1, [0, 1, 2]),
        # An even window has one key more on the left; at the edge it moves inward; a causal one is cut off.
        ("gna", {"shape": (10,), "window": 4}, 5, [3, 4, 5, 6]),
        ("gna", {"shape": (10,), "window": 4}, 0, [0, 1, 2, 3]),
        ("gna", {"shape": (10,), "window": 4, "stride": 2}, 4, [3, 4, 5, 6]),  # the leader of 4 and 5 is 5
        ("gna", {"shape": (10,), "window": 3, "dilation": 3}, 7, [1, 4, 7]),
        ("gna", {"shape": (10,), "window": 4, "causal": True}, 1, [0, 1]),
        ("gna", {"shape": (10,), "window": 4, "stride": 3, "causal": True}, 6, [5, 6]),  # the leader is 8
        ("halo", {"shape": (1, 8), "block": 3, "halo": 1}, 4, [2, 3, 4, 5, 6]),
        ("shifted_window", {"shape": (1, 8), "window": 4, "shift": 2}, 7, [6, 7]),
        ("maxvit_grid", {"shape": (1, 8), "grid": (1, 2)}, 5, [1, 5]),
        ("crossformer_lda", {"shape": (1, 12), "group": 3, "interval": 2}, 9, [7, 9, 11]),
        ("inward_window", {"shape": (1, 1, 8), "dh": 0, "dw": 2}, 7, [3, 4, 5, 6, 7]),
        ("frame_causal", {"shape": (9, 1), "chunk": 3, "window": 5, "sink": 1}, 7, [0, 5, 6, 7, 8]),
        ("video_infinity", {"shape": (4,), "key_shape": (9,), "pad": 2}, 1, [1, 2, 3, 4, 5, 8]),
        ("svg_spatial", {"shape": (4, 2), "block": 2, "multiple": 1}, 5, [0, 1, 4, 5]),
        ("svg_temporal", {"shape": (2, 4), "block": 2, "multiple": 1}, 7, [0, 1, 2, 3, 4, 5, 6, 7]),
        ("svg_temporal", {"shape": (4, 2), "block": 2, "multiple": 1}, 7, [0, 2, 5, 7]),
        ("attention_tile", {"shape": (6, 1), "reference": 4}, 3, [0, 3, 4]),
        ("sink_longlora", {"shape": (8,), "ratio": 0.5, "sink": 1}, 6, [0, 4, 5, 6]),
    ],
)
def test_one_query_sees_these_keys(name: str, numbers: dict[str, Any], query: int, keys: list[int]) -> None:
    assert rows(FORMULAS[name](**numbers))[query] == keys


def test_a_rolled_group_lets_the_first_tokens_see_the_last() -> None:
    straight, rolled = longlora((8,), heads=2, ratio=0.5, wrap=True)
    assert rows(straight)[0] == [0]
    assert rows(rolled)[0] == [0, 6, 7]


def test_separate_half_groups_do_not_see_each_other() -> None:
    _, shifted = longlora((8,), heads=2, ratio=0.5)
    assert rows(shifted) == [[0], [0, 1], [2], [2, 3], [2, 3, 4], [2, 3, 4, 5], [6], [6, 7]]


def test_s2_moves_its_columns_from_head_to_head() -> None:
    masks = s2((6,), heads=3, block=1, local=1, stride=3)
    assert [rows(mask)[5] for mask in masks] == [[0, 3, 5], [2, 5], [1, 4, 5]]


def test_moa_spends_its_keys_on_first_and_last_blocks() -> None:
    (mask,) = moa((16,), alpha=(0,), beta=(0.5,), heads=1, block=2, sink=4, minimum=2)
    assert rows(mask)[12] == [0, 1, 2, 3, 10, 11, 12]


def test_documents_may_be_scattered() -> None:
    doc = np.array([0, 1, 0, 1])
    assert rows(document((4,), doc, causal=False)) == [[0, 2], [1, 3], [0, 2], [1, 3]]
    assert rows(document((4,), doc)) == [[0], [1], [0, 2], [1, 3]]
