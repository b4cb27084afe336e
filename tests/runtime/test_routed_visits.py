"""Rows of a plan's tokens, and lists of the tiles that meet, made by torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import attndsl
from attndsl.ir.bound import BoundIR, pairs_only
from attndsl.ir.plan import Plan
from attndsl.runtime.routed_layout import Rows, gathered, in_units
from attndsl.runtime.routed_visits import EMPTY, FULL, listed, visits
from tests.runtime.attention_cases import mask_of
from tests.runtime.routed_cases import random_plan, visible, whole_plan

CPU = torch.device("cpu")


def test_runs_that_fill_tiles_lie_as_they_are() -> None:
    rows = in_units(70, 32, None, 32, CPU)
    assert rows.natural
    assert rows.tokens[0].tolist() == [*range(70), *[-1] * 26]


def test_other_units_are_filled_up() -> None:
    rows = in_units(5, 3, np.array([[0, 2, 4], [3, 1, -1]], dtype=np.int32), 4, CPU)
    assert not rows.natural
    assert rows.tokens.tolist() == [[0, 2, 4, -1, 3, 1, -1, -1]]
    assert rows.unit.tolist() == [[0, 1]]


def test_queries_stand_in_a_row_of_each_of_their_units() -> None:
    """Queries 0 and 2 list unit 1; query 1 nothing; query 3 both units."""
    lists = torch.tensor([[[[1, -1], [-1, -1], [1, -1], [0, 1]]]], dtype=torch.int32)
    plan = Plan(4, 8, 1, 4, lists, (lists >= 0).sum(-1).int())
    rows = gathered(plan, 2, CPU)
    assert rows.tokens[0, :6].tolist() == [3, -1, 0, 2, 3, -1]
    assert rows.unit[0, :3].tolist() == [0, 1, 1]
    assert rows.places is not None
    assert rows.places[0].tolist() == [[2, -1], [-1, -1], [3, -1], [0, 4]]


def _both(ir: BoundIR, plan: Plan, q_tile: int, kv_tile: int) -> tuple[Rows, Rows]:
    if plan.q_block == 1:
        queries = gathered(plan, q_tile, CPU)
    else:
        queries = in_units(plan.queries, plan.q_block, plan.q_units, q_tile, CPU)
    return queries, in_units(plan.keys, plan.kv_block, plan.kv_units, kv_tile, CPU)


def test_a_causal_mask_drops_what_follows_and_leaves_full_what_is_before() -> None:
    ir = attndsl.pattern("causal").bind(shape=128).ir
    plan = whole_plan(ir, 32, 32)
    lists = torch.from_numpy(plan.indices)[0].long()
    found = listed(visits(ir, plan, lists, *_both(ir, plan, 32, 32), 32, 32), 4, False, 4)
    first, full_end, end = found["records"][0].T.tolist()
    assert [last - start for start, last in zip(first, full_end, strict=True)] == [0, 1, 2, 3]
    entries = [found["tiles"][start:last].tolist() for start, last in zip(first, end, strict=True)]
    partial = 1 << 24
    assert entries == [[0 + partial], [0, 1 + partial], [0, 1, 2 + partial], [0, 1, 2, 3 + partial]]


def test_lists_of_key_tiles_are_the_same_pairs_from_the_other_side() -> None:
    ir = attndsl.pattern("causal").bind(shape=100, heads=2).ir
    plan = random_plan(ir, 32, 32, 3)
    lists = torch.from_numpy(plan.indices).flatten(0, 1).long()
    found = visits(ir, plan, lists, *_both(ir, plan, 32, 32), 16, 32)
    pairs = []
    for by_key, owners in ((False, 7), (True, 4)):
        each = listed(found, 7, by_key, owners)
        pairs.append({
            (number, *((tile, owner) if by_key else (owner, tile)))
            for number, records in enumerate(each["records"].tolist())
            for owner, (first, _, end) in enumerate(records)
            for tile in (each["tiles"][first:end] & (2**24 - 1)).tolist()
        })  # fmt: skip
    assert pairs[0] == pairs[1]


MASKS: dict[str, Callable[[], BoundIR]] = {
    "causal": lambda: attndsl.pattern("causal").bind(shape=90, heads=2).ir,
    "two axes": lambda: attndsl.pattern("gna").bind(shape=(6, 15), window=(3, 5), heads=2).ir,
    "segments": lambda: attndsl.pattern("radial").bind(shape=(9, 8), text=18, block=2, heads=2).ir,
    "frames": lambda: attndsl.pattern("frame_causal").bind(shape=(9, 10), chunk=2, window=2, heads=2).ir,
    "dilated": lambda: attndsl.pattern("dilated_window").bind(shape=90, left=8, dilation=3, heads=2).ir,
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("q_block", [1, 20])
def test_no_visible_pair_is_dropped_and_full_tiles_show_all(name: str, q_block: int) -> None:
    ir = pairs_only(MASKS[name]())
    plan = random_plan(ir, q_block, 20, 3, heads=1)
    shown, mask = visible(ir, plan)[0, 0], mask_of(ir)[0]
    queries, keys = _both(ir, plan, 16, 16)
    found = visits(ir, plan, torch.from_numpy(plan.indices)[0].long(), queries, keys, 16, 16)
    covered = torch.zeros_like(shown)
    kinds = set()
    for tile, (columns, sorts) in enumerate(zip(found.column[0], found.kind[0], strict=True)):
        for column, kind in zip(columns.tolist(), sorts.tolist(), strict=True):
            kinds.add(kind)
            if kind == EMPTY:
                continue
            rows, places = queries.tiles(16)[0, tile].long(), keys.tiles(16)[0, column].long()
            inside = rows[rows >= 0][:, None], places[places >= 0]
            if kind == FULL:
                assert (rows >= 0).all()
                assert mask[inside].all()
            covered[inside] = True
    assert not (shown & ~covered).any()
    assert len(kinds) > 1
