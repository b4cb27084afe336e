"""Explanations: numbers that agree with the mask, suggestions that do what they say, and the text."""

from __future__ import annotations

import json
from typing import Any

import pytest

import attndsl
from attndsl.pipeline import Bound
from attndsl.simulate.explain import explain
from attndsl.simulate.rebind import rebound

PATTERNS: list[tuple[str, dict[str, Any]]] = [
    ("gna", {"shape": (16, 24), "window": (5, 7)}),
    ("causal", {"shape": 200}),
    ("cswin", {"shape": (12, 12), "heads": 2, "stripe": 2}),
    ("radial", {"shape": (5, 64), "text": 16, "block": 32, "heads": 3}),
    ("document", {"shape": 64}),
]


@pytest.mark.parametrize(("name", "numbers"), PATTERNS, ids=[name for name, _ in PATTERNS])
def test_the_work_is_that_of_the_mask(name: str, numbers: dict[str, Any]) -> None:
    bound = attndsl.pattern(name).bind(**numbers)
    found = explain(bound.ir, head_dim=64)
    inputs: dict[str, Any] = {"doc": [0] * 64} if name == "document" else {}
    mask = bound.mask(**inputs)
    pairs = int(mask.sum()) * bound.ir.heads // len(mask)
    assert found.flops == pytest.approx(4 * 64 * pairs)
    for cost in found.costs:
        assert cost.keys_per_query == pytest.approx(mask[cost.heads[0] % len(mask)].sum(axis=1).mean())
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False)) == found.to_dict()


SUGGESTED = [
    attndsl.pattern("gna").bind(shape=(30, 48, 80), window=(18, 24, 24)),
    attndsl.pattern("gna").bind(shape=(64, 64), window=(15, 17), stride=(7, 5)),
    attndsl.pattern("gna").bind(shape=1024, window=256),
    attndsl.pattern("blocked").bind(shape=(64, 64), window=(12, 12)),
]


@pytest.mark.parametrize("bound", SUGGESTED, ids=lambda bound: bound.name)
def test_suggestions_are_perfectly_block_sparse_and_ever_closer_to_the_request(bound: Bound) -> None:
    found = explain(bound.ir)
    assert found.suggestions
    changes = [choice.lost + choice.gained for choice in found.suggestions]
    assert changes == sorted(changes, reverse=True)
    for choice in found.suggestions:
        ir = rebound(bound.ir, choice.parameters)
        assert ir is not None
        report = Bound(ir).simulate(q_tile=choice.tiles.q_tile, kv_tile=choice.tiles.kv_tile)
        assert report.perfectly_block_sparse


def test_the_stride_of_the_paper_is_suggested() -> None:
    bound = attndsl.pattern("gna").bind(shape=(30, 48, 80), window=(18, 24, 24), stride=(1, 1, 8))
    first = explain(bound.ir, q_tile=(4, 8, 8), kv_tile=(2, 8, 8)).suggestions[0]
    assert first.parameters == {"stride": (16, 8, 8)}


def test_other_tiles_are_suggested_where_they_suffice() -> None:
    bound = attndsl.pattern("blocked").bind(shape=(64, 64), window=16)
    found = explain(bound.ir, device="a100", q_tile=(8, 16), kv_tile=(2, 32))
    (choice,) = found.suggestions
    assert choice.lost == choice.gained == 0.0
    assert max(choice.tiles.kv_tile) <= 16
    assert "the mask stays the same" in str(found)


@pytest.mark.parametrize(("name", "numbers"), [("causal", {"shape": 1024}), ("document", {"shape": 1024})])
def test_nothing_is_suggested_where_nothing_helps(name: str, numbers: dict[str, Any]) -> None:
    found = explain(attndsl.pattern(name).bind(**numbers).ir)
    assert found.suggestions == ()
    reason = "inputs decide which tiles are full" if name == "document" else "no setting near this one"
    assert reason in str(found)


def test_a_perfect_pattern_needs_no_suggestion() -> None:
    found = explain(attndsl.pattern("blocked").bind(shape=1024, window=256).ir)
    assert found.suggestions == ()
    assert "none: perfectly block-sparse" in str(found)


TEXT = """
pattern local(window: int[axes], stride: int[axes] = 1):
    space image(y, x)
    attend neighborhood(window, stride)
"""


def test_the_text() -> None:
    bound = attndsl.parse(TEXT, "local.attn").bind(shape=(64, 64), heads=2, window=(16, 16), stride=(1, 16))
    lines = str(explain(bound.ir, q_tile=(16, 16), kv_tile=(8, 16), head_dim=64)).splitlines()
    assert lines[:11] == [
        "local_w16x16_s1x16: 4,096 tokens, 2 heads",
        "",
        "work",
        "  every query sees prod(window) = 256 of 4,096 keys",
        "  FLOPs: 4 * head_dim * heads * tokens * prod(window)",
        "  537 MFLOP forward with head_dim 64, all heads, batch 1: 6.25% of dense",
        "",
        "tiles on b200",
        "  q 16 x 16, kv 8 x 16",
        "  a q tile visits at most 4 of 32 kv tiles: 8.00x over dense, 9.14x in the mean, 16.00x by FLOPs",
        "  they are 3.5 runs of neighbours per q tile: a kernel needs a list",
    ]
    assert lines[13] == "  48 of 56 visited tiles are undecided"
    assert lines[14] == "    in `attend neighborhood(window, stride)` (local.attn:4:12):"
    assert "on y (prelude.attn:" in lines[15]
    assert lines[-2] == "  perfectly block-sparse with stride=16,16:"
    assert lines[-1].startswith("    16.00x, loses ")


def test_a_number_is_no_formula() -> None:
    nothing = attndsl.parse("pattern p:\n    space tokens(n)\n    attend false\n").bind(shape=64)
    assert "  every query sees 0 of 64 keys" in str(explain(nothing.ir)).splitlines()
