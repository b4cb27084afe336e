"""Tile choice: the boxes that a pattern's geometry asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl.schedule.build import build
from attndsl.schedule.cost import CostModel
from attndsl.schedule.schedule import Schedule


def chosen(name: str, **numbers: Any) -> Schedule:
    return build(attndsl.pattern(name).bind(**numbers).ir)


def time(schedule: Schedule, model: CostModel) -> float:
    """The predicted time, from the finished block maps."""
    visited = full = tiles = 0
    for block_map in schedule.maps:
        pairs = block_map.pairs(schedule.q_tiling.counts, schedule.kv_tiling.counts)
        visited, full = visited + pairs.sum(), full + pairs[block_map.residual == 0].sum()
        tiles += block_map.visited_tiles
    query, key = (np.asarray(tiling.capacity) for tiling in (schedule.q_tiling, schedule.kv_tiling))
    return float(model.time(tiles, visited, full, query, key))


def test_blocks_of_the_pattern_become_tiles() -> None:
    found = chosen("gna", shape=(30, 48, 80), window=(18, 24, 24), stride=(16, 8, 8))
    assert found.partial_tiles == 0
    assert found.tile_speedup == pytest.approx(30 * 48 * 80 / (18 * 24 * 24))


def test_windows_that_are_no_power_of_two_are_met_exactly() -> None:
    ir = attndsl.pattern("window").bind(shape=(56, 56), window=7).ir
    found = build(ir, model=CostModel(largest=(64, 64)))
    assert (found.q_tile, found.kv_tile) == ((7, 7), (7, 7))
    assert found.partial_tiles == 0


def test_dilation_takes_the_residue_layout() -> None:
    found = chosen("gna", shape=6144, window=256, dilation=8)
    assert found.q_step == found.kv_step == (8,)
    assert found.tile_speedup > 15


def test_a_grid_takes_the_residue_layout_on_both_axes() -> None:
    found = chosen("maxvit_grid", shape=(56, 56), grid=7)
    assert found.q_step == (8, 8)
    assert found.partial_tiles == 0


def test_a_window_in_two_dimensions_takes_compact_tiles() -> None:
    found = chosen("gna", shape=(128, 128), window=(16, 16))
    flat = build(found.ir, (1, 64), (1, 64))
    assert found.visited_tiles * found.q_tiling.capacity * found.kv_tiling.capacity < (
        0.7 * flat.visited_tiles * 64 * 64
    )


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("gna", {"shape": (24, 40), "window": (7, 9)}),
        ("gna", {"shape": (24, 40), "window": (7, 9), "dilation": (1, 3)}),
        ("sliding_window", {"shape": 1000, "left": 100}),
        ("frame_causal", {"shape": (8, 60), "chunk": 2}),
    ],
)
def test_no_usual_tile_is_predicted_to_be_faster(name: str, numbers: dict[str, Any]) -> None:
    found, model = chosen(name, **numbers), CostModel()
    rank = len(found.q_tile)
    queries = [(16,), (32,)] if rank == 1 else [(4, 8), (2, 16), (1, 32)]
    keys = [(32,), (64,)] if rank == 1 else [(4, 8), (8, 8), (1, 64)]
    best = time(found, model)
    assert all(best <= 1.04 * time(build(found.ir, q, kv), model) for q in queries for kv in keys)


def test_a_given_tile_is_kept() -> None:
    bound = attndsl.pattern("gna").bind(shape=(32, 32), window=(9, 9))
    found = build(bound.ir, q_tile=(2, 16))
    assert found.q_tile == (2, 16)
    assert 16 <= found.kv_tiling.capacity <= 128


def test_a_higher_price_per_visit_asks_for_larger_tiles() -> None:
    ir = attndsl.pattern("sliding_window").bind(shape=4096, left=64).ir
    cheap = build(ir, model=CostModel(visit=0, largest=None))
    dear = build(ir, model=CostModel(visit=10_000, largest=None))
    assert cheap.q_tiling.capacity < dear.q_tiling.capacity


def test_the_choice_is_the_same_every_time() -> None:
    ir = attndsl.pattern("svg_temporal").bind(shape=(6, 200), block=16).ir
    first, second = build(ir), build(ir)
    assert (first.q_tile, first.kv_tile, first.q_step) == (second.q_tile, second.kv_tile, second.q_step)


@pytest.mark.parametrize("shape", [1, 2, 13, (1, 1, 1), (1, 17)])
def test_small_spaces_have_tiles_too(shape: Any) -> None:
    bound = attndsl.pattern("full").bind(shape=shape)
    assert (build(bound.ir).to_mask() == bound.mask()).all()
