"""Classes of token pairs: what the colours of a picture say is what the mask and the tiles say."""

from __future__ import annotations

import numpy as np
import pytest

from attndsl.ir.evaluate import mask_rows
from attndsl.show.subject import (
    FULL_PAIR,
    MASKED_PAIR,
    PARTIAL_PAIR,
    SKIPPED_PAIR,
    Subject,
    tile_of_token,
)
from tests.show.subjects import square, subject, video

SUBJECTS = [
    square(),
    subject("gna", (2, 3), (3, 2), shape=(9, 11), window=(3, 4), dilation=(3, 2)),
    subject("streaming", 16, 16, shape=100, sink=5, window=30),
    subject("radial", (1, 16), (1, 16), shape=(4, 32), text=7, block=16),
    subject("cswin", (2, 4), (2, 4), head=3, shape=(8, 8), heads=4, stripe=2),
    subject("video_infinity", 4, 8, shape=24, key_shape=40, pad=6),
]


@pytest.mark.parametrize("chosen", SUBJECTS, ids=lambda chosen: chosen.ir.name)
def test_visible_pairs_are_those_of_the_mask(chosen: Subject) -> None:
    mask = mask_rows(chosen.ir, chosen.head, 0, chosen.ir.query_space.size, {})
    assert np.array_equal(chosen.pair_classes() >= PARTIAL_PAIR, mask)


@pytest.mark.parametrize("chosen", SUBJECTS, ids=lambda chosen: chosen.ir.name)
def test_a_tile_has_one_class_or_is_partial(chosen: Subject) -> None:
    classes = chosen.pair_classes()
    for q_tile in np.unique(chosen.query_tiles):
        for kv_tile in np.unique(chosen.key_tiles):
            inside = classes[np.ix_(chosen.query_tiles == q_tile, chosen.key_tiles == kv_tile)]
            assert set(inside.flat) in ({SKIPPED_PAIR}, {FULL_PAIR}, {MASKED_PAIR, PARTIAL_PAIR})


@pytest.mark.parametrize("chosen", SUBJECTS, ids=lambda chosen: chosen.ir.name)
def test_one_query_has_the_classes_of_its_row(chosen: Subject) -> None:
    classes = chosen.pair_classes()
    for query in range(0, len(classes), 7):
        assert np.array_equal(chosen.key_classes(query), classes[query])


def test_every_token_has_the_tile_that_the_tiling_lists_it_in() -> None:
    tiling = video().schedule.q_tiling
    tokens, _ = tiling.tokens()
    assert all(tile in np.nonzero(tokens == token)[0] for token, tile in enumerate(tile_of_token(tiling)))


def test_only_short_sequences_are_drawn_pair_by_pair() -> None:
    assert subject("causal", 64, 64, shape=1024).is_small
    assert not subject("causal", 64, 64, shape=1025).is_small
