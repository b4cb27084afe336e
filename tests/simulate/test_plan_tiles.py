"""Tiles that plans visit: equal to what is counted pair by pair, in all three ways of computing plans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import attndsl
from attndsl.ir.bound import pairs_only
from attndsl.ir.plan import Plan, of_pairs
from attndsl.ir.route_units import route_table
from attndsl.pipeline import Bound
from attndsl.runtime import routed, routed_gathering, routed_tokens
from attndsl.runtime.routed_blocks import BlockKernels
from attndsl.runtime.routed_gathering import Gathering
from attndsl.runtime.routed_mask import StaticMask
from attndsl.runtime.routed_tiles import KV_TILE, Q_TILE, even_size
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


KERNELS: dict[str, dict[str, Any]] = {
    "moba": {"shape": 1024, "block": 128},
    "vmoba": {"shape": (4, 8, 8), "chunk": (2, 4, 8)},
    "xattention": {"shape": 600, "block": 64},
    "sparge": {"shape": 512},
    "draft": {"shape": (2, 16, 16), "text": 40, "pool": 8},
}


@pytest.mark.parametrize("coarse", [1, 64])
@pytest.mark.parametrize("name", CASES)
def test_counts_are_those_of_the_mask(name: str, coarse: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_tiles, "COARSE", coarse)
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


SECOND = """
pattern second(size: int):
    space text(n) ++ image(y, x)
    blocks b of (y, x) by (size, size)
    route score mean(q in b) . mean(k in b)
          select top(2) per b
    attend
        text -> image: q.n % 3 == 0
        else:          true
"""


def test_a_route_over_a_later_segment() -> None:
    bound = attndsl.parse(SECOND).bind(shape=20, image=(8, 8), heads=1, size=4)
    plan = random_plan(bound)
    counts = PlanTiles(bound.ir, 16, 16).count(lists_of_plan(plan, 0, 0), 0)
    wanted = routed_counts.of_blocks(bound, plan, 0, 16, 16)
    assert (counts.visited, counts.full, counts.worst) == (wanted.visited, wanted.full, wanted.worst)


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
    assert plan_tiles.COARSE == routed_gathering.COARSE


@pytest.mark.parametrize("name", ["moba", "vmoba", "xattention", "sparge", "draft"])
def test_kernels_visit_as_many_tiles(name: str) -> None:
    bound = attndsl.pattern(name).bind(heads=2, **KERNELS[name])
    q, k = torch.randn(2, 1, 2, bound.ir.query_space.size, 16)
    plan = bound.plan(q, k)
    ir = pairs_only(bound.ir)
    if plan.q_block == 1:
        sizes = Q_TILE, even_size(plan.kv_block, KV_TILE)
        gathering = Gathering(StaticMask(ir), plan, *sizes)
        real = [next(gathering.chunks(0, head)).map for head in range(2)]
    else:
        blocks = BlockKernels(ir, plan, 16, 16, torch.float32)
        sizes = even_size(plan.q_block, Q_TILE), even_size(plan.kv_block, KV_TILE)
        maps, number = blocks.maps.of_heads(1)
        real = [maps[number[0, head]] for head in range(2)]
    found = PlanTiles(bound.ir, *sizes)
    for head in range(2):
        counts = found.count(lists_of_plan(plan, 0, head), head)
        assert (counts.visited, counts.full) == (real[head].visited_tiles, real[head].full_tiles)


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
