"""What the runtime finds out about masks of pairs."""

from __future__ import annotations

import numpy as np

from tests.codegen.tile_runtime.arrays import Call


def test_spans_are_the_groups_of_columns_with_visible_pairs(runtime: Call) -> None:
    mask = np.zeros((16, 48), dtype=np.int32)
    mask[1, 0] = mask[2, 17] = mask[3, 47] = mask[4, 15] = mask[4, 32] = -1
    mask[5] = -1
    found = np.empty((16, 2), dtype=np.int32)
    runtime("spans_of", found, mask)
    assert found[1:6].tolist() == [[0, 16], [16, 32], [32, 48], [0, 48], [0, 48]]
    assert (found[[0, *range(6, 16)], 0] >= found[[0, *range(6, 16)], 1]).all(), "rows that see nothing"
