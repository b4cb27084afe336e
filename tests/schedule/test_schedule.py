"""The schedule as users see it: figures, refinement, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import attndsl
from attndsl.diagnostics import AttnBindError, AttnCallError, AttnScheduleError
from attndsl.schedule.build import build


def test_figures_of_causal_attention() -> None:
    found = build(attndsl.pattern("causal").bind(shape=64).ir, 16, 16)
    assert (found.total_tiles, found.visited_tiles, found.full_tiles, found.partial_tiles) == (16, 10, 6, 4)
    assert found.tile_speedup == 1.6
    assert found.worst_q_tile_visits == 4
    assert found.visible_pairs == 64 * 65 // 2
    assert found.density == 65 / 128
    assert found.maps[0].is_contiguous


def test_heads_with_one_mask_are_counted_once_and_share_a_map() -> None:
    found = build(attndsl.pattern("causal").bind(shape=64, heads=8).ir, 16, 16)
    assert len(found.maps) == 1
    assert found.map_of_head.tolist() == [0] * 8
    assert found.total_tiles == 16


def test_heads_with_different_masks_are_added_up() -> None:
    found = build(attndsl.pattern("cswin").bind(shape=(8, 8), stripe=2, heads=6).ir, (2, 8), (2, 8))
    assert found.map_of_head.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.total_tiles == 6 * 16
    assert found.visited_tiles == 3 * 4 + 3 * 16
    assert found.to_mask().shape == (6, 64, 64)


def test_nothing_visible_means_an_infinite_speedup() -> None:
    pattern = attndsl.parse("pattern none:\n    space tokens(n)\n    attend k.n < 0\n")
    assert isinstance(pattern, attndsl.Pattern)
    found = build(pattern.bind(shape=40).ir)
    assert found.visited_tiles == 0
    assert found.tile_speedup == float("inf")
    assert found.density == 0.0
    assert not found.to_mask().any()


def test_text_without_tokens_adds_no_tiles() -> None:
    found = build(attndsl.pattern("radial").bind(shape=(4, 32), text=0, block=16).ir, (1, 16), (1, 16))
    assert found.q_tiling.tiles == 8


def test_text_has_tiles_of_as_many_tokens_as_the_video() -> None:
    found = build(attndsl.pattern("radial").bind(shape=(4, 32), text=40, block=16).ir, (1, 16), (2, 4))
    assert found.q_tiling.segments[1].counts.tolist() == [16, 16, 8]
    assert found.kv_tiling.segments[1].counts.tolist() == [8] * 5


def test_a_mask_that_is_too_large_is_refused() -> None:
    found = build(attndsl.pattern("causal").bind(shape=2**15).ir, 64, 64)
    with pytest.raises(AttnBindError, match="A0408"):
        found.to_mask()


def test_a_density_that_depends_on_inputs_needs_them() -> None:
    found = build(attndsl.pattern("document").bind(shape=64).ir, 16, 16)
    with pytest.raises(AttnScheduleError, match="A0510"):
        _ = found.density
    assert found.refine({"doc": np.zeros(64, dtype=np.int32)}).density == 65 / 128


def test_refinement_keeps_tiles_and_residual_numbers() -> None:
    found = build(attndsl.pattern("document").bind(shape=128).ir, 16, 16)
    refined = found.refine({"doc": np.arange(128) // 40})
    assert refined.residuals is found.residuals
    assert refined.q_tiling is found.q_tiling
    assert (found.visited_tiles, refined.visited_tiles) == (36, 17)
    assert found.full_tiles == 0 < refined.full_tiles
    row, column, residual = refined.maps[0].entries()
    partial = residual > 0
    np.testing.assert_array_equal(found.maps[0].residual_of(row, column)[partial], residual[partial])


def test_refinement_without_inputs_changes_nothing() -> None:
    found = build(attndsl.pattern("causal").bind(shape=64).ir, 16, 16)
    assert found.refine({}) is found


@pytest.mark.parametrize(
    ("inputs", "code"), [({}, "A0611"), ({"doc": np.zeros(3, dtype=int)}, "A0612"), ({"dog": []}, "A0610")]
)
def test_wrong_inputs_are_refused(inputs: dict[str, object], code: str) -> None:
    found = build(attndsl.pattern("document").bind(shape=64).ir, 16, 16)
    with pytest.raises(AttnCallError, match=code):
        found.refine(inputs)


def test_inputs_that_are_not_numbers_leave_tiles_partial() -> None:
    source = """
pattern close:
    input place: real[tokens]
    space tokens(n)
    attend abs(place[q] - place[k]) <= 1.0
"""
    pattern = attndsl.parse(source)
    assert isinstance(pattern, attndsl.Pattern)
    bound = pattern.bind(shape=40)
    place = np.linspace(0.0, 9.0, 40)
    place[17] = np.nan
    refined = build(bound.ir, 8, 8).refine({"place": place})
    np.testing.assert_array_equal(refined.to_mask(), bound.mask(place=place))
