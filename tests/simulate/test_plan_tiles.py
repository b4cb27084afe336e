"""Tiles that plans visit: equal to what is counted pair by pair, in all three ways of computing plans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl.ir.plan import Plan, of_pairs
from attndsl.ir.route_units import route_table
from attndsl.pipeline import Bound
from attndsl.runtime import routed, routed_tokens
from attndsl.simulate import plan_tiles
from attndsl.simulate.plan_lists import lists_of_plan
from attndsl.simulate.plan_sides import tile_box
from attndsl.simulate.plan_tiles import PlanTiles
from tests.simulate import routed_counts
from tests.simulate.routed_counts import Counts


def random_plan(bound: Bound, chance: float = 0.4) -> Plan:
    """Some pairs of the units of a bound pattern's route."""
    ir = bound.ir
    (q_units, q_block), (kv_units, kv_block) = route_table(ir, "q"), route_table(ir, "k")
    empty = np.zeros((1, 1, 1, 0), np.int32)
    like = Plan(ir.query_space.size, ir.key_space.size, q_block, kv_block, empty, empty, q_units, kv_units)
    chosen = np.random.default_rng(0).random(ir.heads * like.query_units * like.key_units) < chance
    return of_pairs(like, 1, ir.heads, np.flatnonzero(chosen))


Oracle = Callable[[Bound, Plan, int, int, int], Counts]
BLOCKS, GATHERED, TOKENS = routed_counts.of_blocks, routed_counts.of_gathered, routed_counts.of_tokens
CASES: dict[str, tuple[str, dict[str, Any], Oracle, int, int]] = {
    "xattention": ("xattention", {"shape": 200, "block": 32, "stride": 4}, BLOCKS, 16, 8),
    "short last block": ("xattention", {"shape": 199, "block": 48, "stride": 4}, BLOCKS, 16, 16),
    "units smaller than tiles": ("sparge", {"shape": 200, "bq": 16, "bk": 32}, BLOCKS, 128, 64),
    "boxes": ("biformer", {"shape": (12, 16), "n_win": 2}, BLOCKS, 12, 12),
    "boxes and text": ("draft", {"shape": (2, 8, 8), "text": 21, "pool": (4, 8)}, BLOCKS, 32, 32),
    "moba": ("moba", {"shape": 200, "block": 32}, GATHERED, 16, 8),
    "moba, short last block": ("moba", {"shape": 150, "block": 48}, GATHERED, 8, 24),
    "queries to boxes": ("vmoba", {"shape": (3, 6, 8), "chunk": (2, 3, 4)}, GATHERED, 16, 24),
    "keys one by one": ("dma", {"shape": 200}, TOKENS, 64, 16),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_counts_are_those_of_the_mask(name: str) -> None:
    pattern, numbers, oracle, q_size, kv_size = CASES[name]
    bound = attndsl.pattern(pattern).bind(heads=2, **numbers)
    plan = random_plan(bound)
    found = PlanTiles(bound.ir, q_size, kv_size)
    for head in range(2):
        counts = found.count(lists_of_plan(plan, 0, head), head)
        wanted = oracle(bound, plan, head, q_size, kv_size)
        assert counts.visited == wanted.visited
        assert counts.full == wanted.full
        assert counts.worst == wanted.worst
        assert counts.visible == pytest.approx(wanted.visible, rel=0.02)  # PARTIAL tiles count as a mean one


def test_imbalance_over_key_units() -> None:
    bound = attndsl.pattern("moba").bind(shape=64, heads=1, block=16, topk=2)
    lists = np.array([[0, 3]] * 64, dtype=np.int32)[None, None]
    plan = Plan(64, 64, 1, 16, lists, np.full((1, 1, 64), 2, np.int32))
    counts = PlanTiles(bound.ir, 16, 16).count(lists_of_plan(plan, 0, 0), 0)
    assert counts.key_imbalance == 64 / (80 / 4)  # all see the first block, and 16 see a part of the last
    assert counts.slots == 80
    assert counts.imbalance == 2 / (80 / 64)


def test_the_sizes_are_those_of_the_kernels() -> None:
    assert plan_tiles.SMALLEST_UNIT == routed.SMALLEST_UNIT
    assert plan_tiles.TOKEN_TILE == routed_tokens.TILE


@pytest.mark.parametrize(
    ("unit", "tokens", "box"),
    [((512,), 128, (128,)), ((510,), 128, (102,)), ((64,), 128, (64,)), ((4, 10, 13), 128, (4, 2, 13))],
)
def test_tiles_cut_units_into_equal_parts(unit: tuple[int, ...], tokens: int, box: tuple[int, ...]) -> None:
    assert tile_box(unit, tokens) == box


def test_parts_of_long_lists_give_the_same_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = attndsl.pattern("dma").bind(shape=300, heads=1)
    lists = lists_of_plan(random_plan(bound), 0, 0)
    whole = PlanTiles(bound.ir, 64, 16).count(lists, 0)
    monkeypatch.setattr(plan_tiles, "CHUNK", 1000)
    assert PlanTiles(bound.ir, 64, 16).count(lists, 0) == whole
