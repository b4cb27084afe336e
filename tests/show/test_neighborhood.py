"""What one query sees: the keys, its tile, and the slices worth drawing."""

from __future__ import annotations

import numpy as np
import pytest

from attndsl.diagnostics import AttnScheduleError
from attndsl.ir.evaluate import mask_rows
from attndsl.show.neighborhood import MOST_SLICES, Neighborhood, neighborhood
from attndsl.show.subject import PARTIAL_PAIR
from tests.show.subjects import square, subject, video


def found(query: tuple[int, ...] | None = None) -> Neighborhood:
    near = neighborhood(video(), query)
    assert near is not None
    return near


def test_the_visible_keys_are_those_of_the_mask() -> None:
    near = found((9, 3, 7))
    row = mask_rows(near.subject.ir, 0, 9 * 96 + 3 * 12 + 7, 9 * 96 + 3 * 12 + 8, {})
    assert np.array_equal(near.classes >= PARTIAL_PAIR, row.reshape(20, 8, 12))
    assert near.visible == 6 * 4 * 4


def test_the_default_query_is_in_the_middle() -> None:
    assert found().query == (10, 4, 6)


def test_the_query_lies_in_its_tile() -> None:
    assert found((9, 3, 7)).query_tile == [(8, 10), (0, 4), (4, 8)]


@pytest.mark.parametrize("query", [(0, 0, 0), (9, 3, 7), (19, 7, 11)])
def test_slices_show_the_query_and_as_many_others_as_fit(query: tuple[int, ...]) -> None:
    slices = found(query).slices()
    assert query[0] in slices
    assert len(slices) == MOST_SLICES
    assert len(set(np.diff(slices))) == 1


def test_slices_show_every_visible_frame_of_a_short_window() -> None:
    near = found()
    seen = np.flatnonzero((near.classes >= PARTIAL_PAIR).any(axis=(1, 2)))
    assert set(seen.tolist()) <= set(near.slices())


def test_a_window_of_many_frames_is_thinned_out() -> None:
    long = subject("gna", (1, 2, 2), (1, 2, 2), shape=(40, 2, 2), window=(40, 2, 2))
    near = neighborhood(long, (7, 0, 0))
    assert near is not None
    assert 7 in near.slices()
    assert len(near.slices()) <= MOST_SLICES
    assert max(near.slices()) - min(near.slices()) > 30


def test_a_plane_is_one_slice() -> None:
    near = neighborhood(square())
    assert near is not None
    assert near.slices() == [0]


def test_spaces_of_one_axis_have_no_picture_of_a_query() -> None:
    assert neighborhood(subject("causal", 8, 8, shape=32)) is None


def test_a_dilated_tile_has_no_outline() -> None:
    dilated = subject("gna", None, None, shape=(16, 16), window=(4, 4), dilation=(4, 4))
    near = neighborhood(dilated, (5, 5))
    assert near is not None
    steps = dilated.schedule.q_step
    assert [part is None for part in near.query_tile] == [step > 1 for step in steps]


@pytest.mark.parametrize("query", [(3,), (20, 0, 0), (0, -1, 0), (0, 0, 0, 0)])
def test_a_query_outside_of_the_space_is_refused(query: tuple[int, ...]) -> None:
    with pytest.raises(AttnScheduleError, match="A0560") as caught:
        found(query)
    assert "each from 0 to its extent - 1" in caught.value.help
