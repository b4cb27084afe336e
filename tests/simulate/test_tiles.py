"""The tiles of a device: as many tokens as its kernels take, in the shape that visits the fewest tiles."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import pytest

import attndsl
from attndsl.schedule.build import schedule_with
from attndsl.schedule.choose import Tiles
from attndsl.schedule.product import product_masks
from attndsl.simulate.devices import DEVICES, device
from attndsl.simulate.tiles import KV_PADDING, Q_PADDING, ProductCost, best_tiles, boxes


@pytest.mark.parametrize("name", DEVICES)
def test_tiles_have_the_tokens_of_the_device(name: str) -> None:
    ir = attndsl.pattern("gna").bind(shape=(64, 64, 64), window=9).ir
    tiles, target = best_tiles(ir, device(name)), device(name)
    assert (prod(tiles.q_tile), prod(tiles.kv_tile)) == (target.q_tokens, target.kv_tokens)


def test_device_names_have_no_case() -> None:
    assert device("H100") is device("h100")


SETTINGS: list[dict[str, Any]] = [
    {"shape": (16, 64), "window": (3, 31)},
    {"shape": (64, 64), "window": (9, 30), "stride": (4, 16)},
    {"shape": (32, 64), "window": (5, 5), "dilation": (1, 8)},
]


@pytest.mark.parametrize("numbers", SETTINGS, ids=str)
def test_no_other_box_visits_fewer_tiles(numbers: dict[str, Any]) -> None:
    ir, target = attndsl.pattern("gna").bind(**numbers).ir, device("a100")
    best = best_tiles(ir, target)
    least = schedule_with(ir, best.q_tile, best.kv_tile, best.q_step, best.kv_step).visited_tiles
    q_boxes = boxes(target.q_tokens, numbers["shape"], Q_PADDING)
    for q_box, kv_box in product(q_boxes, boxes(target.kv_tokens, numbers["shape"], KV_PADDING)):
        assert schedule_with(ir, q_box, kv_box, (1, 1), (1, 1)).visited_tiles >= least


def test_products_are_counted_as_schedules_are() -> None:
    ir = attndsl.pattern("gna").bind(shape=(20, 24), window=(5, 6), stride=(2, 3), dilation=(1, 2)).ir
    query, key = ir.query_space.segments[0], ir.key_space.segments[0]
    masks = product_masks(query, key, ir.regions[0].visible)
    assert masks is not None
    for q_box, kv_box, step in product([(4, 4), (2, 8)], [(1, 4), (5, 5)], [(1, 1), (1, 2)]):
        cost = ProductCost(query, key, [masks])(Tiles(q_box, kv_box, step, step))
        schedule = schedule_with(ir, q_box, kv_box, step, step)
        assert (cost.visited, cost.partial) == (schedule.visited_tiles, schedule.partial_tiles)


def test_dilated_patterns_get_tiles_of_one_residue_class() -> None:
    ir = attndsl.pattern("gna").bind(shape=(64, 64), window=7, dilation=(4, 1)).ir
    assert best_tiles(ir, device("h100")).q_step == (4, 1)


def test_masks_that_are_no_products_get_tiles_by_sample() -> None:
    ir = attndsl.pattern("radial").bind(shape=(16, 512), text=32).ir
    tiles = best_tiles(ir, device("h100"))
    assert tiles.q_tile == tiles.kv_tile == (1, 128)


def test_a_given_tile_is_kept() -> None:
    report = attndsl.pattern("gna").bind(shape=(32, 32), window=7).simulate("h100", q_tile=(2, 3))
    assert report.q_tile == (2, 3)
    assert prod(report.kv_tile) == 128


@pytest.mark.parametrize(
    ("tokens", "lengths", "expected"),
    [
        (8, (64,), [(8,)]),
        (8, (5,), [(8,)]),
        (8, (2, 2), [(2, 2)]),
        (4, (8, 8), [(1, 4), (2, 2), (4, 1)]),
        (8, (9, 8), [(1, 8)]),
    ],
)
def test_boxes(tokens: int, lengths: tuple[int, ...], expected: list[tuple[int, ...]]) -> None:
    assert boxes(tokens, lengths, 1.05) == expected
