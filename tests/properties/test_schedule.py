"""Schedules of random bound patterns equal brute force: classes, masks, densities, refinement."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from numpy.typing import NDArray

from attndsl.schedule.build import build
from attndsl.schedule.schedule import Schedule
from tests.properties.strategies_ir import RandomIR, bound_patterns
from tests.schedule.brute_force import scheduled_classes, tile_classes


def scheduled(pattern: RandomIR) -> Schedule:
    return build(pattern.ir, pattern.q_tile, pattern.kv_tile, pattern.step or (1,) * len(pattern.q_tile))


def counted(schedule: Schedule, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The heads that figures count."""
    return mask if schedule.per_head else mask[:1]


@settings(max_examples=150, deadline=None)
@given(bound_patterns())
def test_classes_equal_brute_force(pattern: RandomIR) -> None:
    schedule, mask = scheduled(pattern), pattern.mask()
    np.testing.assert_array_equal(scheduled_classes(schedule, len(mask)), tile_classes(schedule, mask))


@settings(max_examples=100, deadline=None)
@given(bound_patterns())
def test_the_schedule_written_out_is_the_mask(pattern: RandomIR) -> None:
    schedule = scheduled(pattern)
    np.testing.assert_array_equal(schedule.to_mask(), counted(schedule, pattern.mask()))


@settings(max_examples=100, deadline=None)
@given(bound_patterns())
def test_visible_pairs_are_counted_exactly(pattern: RandomIR) -> None:
    schedule = scheduled(pattern)
    assert schedule.visible_pairs == counted(schedule, pattern.mask()).sum()


@settings(max_examples=100, deadline=None)
@given(bound_patterns())
def test_chosen_tiles_change_nothing(pattern: RandomIR) -> None:
    schedule = build(pattern.ir)
    np.testing.assert_array_equal(schedule.to_mask(), counted(schedule, pattern.mask()))


@settings(max_examples=100, deadline=None)
@given(bound_patterns(inputs=True))
def test_an_unrefined_schedule_decides_inputs_in_its_residuals(pattern: RandomIR) -> None:
    schedule = scheduled(pattern)
    expected = counted(schedule, pattern.mask())
    np.testing.assert_array_equal(schedule.to_mask(pattern.inputs), expected)


@settings(max_examples=100, deadline=None)
@given(bound_patterns(inputs=True))
def test_refined_classes_equal_brute_force(pattern: RandomIR) -> None:
    schedule, mask = scheduled(pattern).refine(pattern.inputs), pattern.mask()
    np.testing.assert_array_equal(scheduled_classes(schedule, len(mask)), tile_classes(schedule, mask))
    np.testing.assert_array_equal(schedule.to_mask(), counted(schedule, mask))
    assert schedule.visible_pairs == counted(schedule, mask).sum()


@settings(max_examples=100, deadline=None)
@given(bound_patterns())
def test_a_transposed_map_visits_the_same_tiles(pattern: RandomIR) -> None:
    for block_map in scheduled(pattern).maps:
        transposed = block_map.transpose()
        row, column, residual = block_map.entries()
        key, query, same = transposed.entries()
        order = np.lexsort((query, key))
        again = np.lexsort((row, column))
        np.testing.assert_array_equal(
            np.stack([key, query, same])[:, order], np.stack([column, row, residual])[:, again]
        )
