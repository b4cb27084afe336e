"""Predictions of groups: pairs that meet in a plan are counted, and random plans keep what routes say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl.diagnostics import AttnCallError
from attndsl.ir.plan import Plan
from attndsl.pipeline import Bound
from attndsl.simulate.routing import RoutingFigures

BOUND = attndsl.pattern("routing_transformer").bind(shape=96, heads=2, clusters=3, window=20)


def plan_of(members: Any, tokens: int = 96) -> Plan:
    """One list for each head and group."""
    lists = np.array(members, dtype=np.int32)
    return Plan(lists.shape[2], tokens, 1, 1, lists, (lists >= 0).sum(-1, dtype=np.int32))


def random_members(seed: int) -> Any:
    chance = np.random.default_rng(seed)
    return [[[np.sort(chance.permutation(96)[:20]) for _ in range(3)] for _ in range(2)] for _ in range(2)]


PLANS = {"queries": plan_of(random_members(0)), "keys": plan_of(random_members(1))}


def figures(bound: Bound, **options: Any) -> RoutingFigures:
    found = bound.simulate(device="h100", head_dim=64, **options).routing
    assert found is not None
    return found


def test_pairs_and_tiles_of_a_plan_are_those_that_meet() -> None:
    found = figures(BOUND, plan=PLANS, q_tile=8, kv_tile=8)
    queries, keys = (np.asarray(PLANS[name].indices) for name in ("queries", "keys"))
    seen = queries[..., :, None] >= keys[..., None, :]  # [batch, heads, groups, members, members]
    padded = np.pad(seen, [(0, 0)] * 3 + [(0, 4), (0, 4)]).reshape(2, 2, 3, 3, 8, 3, 8)
    visited = padded.any((4, 6)).sum((2, 3, 4))
    full = padded.sum((4, 6)) == np.outer([8, 8, 4], [8, 8, 4])
    assert found.density.mean == pytest.approx(seen.sum((2, 3, 4)).mean() / 96**2)
    assert found.kept.mean == pytest.approx(3 * 20 * 20 / 96**2)
    assert found.visited_tiles == round(visited.sum(1).mean())
    assert found.full_tiles == round(full.sum((2, 3, 4)).sum(1).mean())
    assert (found.plans, found.total_tiles, found.q_tile, found.kv_tile) == (2, 2 * 12 * 12, (8,), (8,))


def test_the_worst_tile_counts_as_often_as_its_queries_are_computed() -> None:
    everything = np.broadcast_to(np.arange(96), (1, 2, 3, 96))
    plan = plan_of(everything)
    found = figures(BOUND, plan={"queries": plan, "keys": plan}, q_tile=32, kv_tile=32)
    assert found.worst_q_tile_visits == 3 * 3  # three kv tiles, in each of three groups
    assert found.tile_speedup.mean == pytest.approx(1 / 3)


def test_random_plans_have_as_many_members_as_the_routes_keep() -> None:
    found = figures(BOUND, draws=3)
    assert found.kept.mean == pytest.approx(3 * 20 * 20 / 96**2)
    assert found.kept.deviation == 0
    assert 0 < found.density.mean < found.kept.mean
    assert found.distribution is not None
    assert found.distribution.locality == 0


def test_the_same_seed_gives_the_same_figures() -> None:
    one, other, third = (figures(BOUND, draws=2, seed=seed).to_dict() for seed in (4, 4, 5))
    assert one == other
    assert one["density"] != third["density"]


def test_blocks_and_other_segments() -> None:
    text = """
pattern p:
    space image(y, x) ++ text(t)
    input centroids: real[2, dim]
    blocks b of (y, x) by (2, 2)
    groups c of 2
    route queries score mean(q in b) . centroids[c]
                  select top(1) per c
    route keys score k . centroids[c]
               select top(3) per c
    attend
        image -> image: true
        else: true
"""
    bound = attndsl.parse(text).bind(shape=(4, 4), text=2, heads=1)
    found = figures(bound, draws=2)
    assert found.kept.mean == pytest.approx(2 * (4 + 2) * (3 + 2) / 18**2)  # texts are in all groups


def test_selection_is_that_of_both_kinds_of_members() -> None:
    one, two = (
        figures(attndsl.pattern("routing_transformer").bind(shape=96, heads=2, clusters=clusters, window=20))
        for clusters in (3, 6)
    )
    assert set(one.selection.parts) == {"products", "arithmetic", "pooling", "choice"}
    assert two.selection.flops > one.selection.flops


def test_a_plan_of_one_kind_is_not_enough() -> None:
    with pytest.raises(AttnCallError, match="A0695"):
        figures(BOUND, plan={"keys": PLANS["keys"]})
