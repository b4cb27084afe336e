"""Residuals: a PARTIAL tile keeps only the comparisons that are undecided in it."""

from __future__ import annotations

from typing import Any

import attndsl
from attndsl.ir.text import expression
from attndsl.schedule.build import build
from attndsl.schedule.residual import LIMIT, atoms
from attndsl.schedule.schedule import Schedule


def schedule(name: str, q_tile: Any, kv_tile: Any, **numbers: Any) -> Schedule:
    return build(attndsl.pattern(name).bind(**numbers).ir, q_tile, kv_tile)


def texts(found: Schedule) -> list[str]:
    return [expression(residual) for residual in found.residuals]


def test_each_side_of_a_band_has_its_own_residual() -> None:
    found = schedule("sliding_window", 16, 16, shape=256, left=64, right=32)
    assert sorted(texts(found)) == ["k.axis0 <= q.axis0 + 32", "q.axis0 - 64 <= k.axis0"]
    assert found.residual_regions == ((0, 0), (0, 0))


def test_a_mask_without_partial_tiles_has_no_residuals() -> None:
    found = schedule("gna", (4, 4), (4, 4), shape=(16, 16), window=(8, 8), stride=(8, 8))
    assert found.residuals == ()
    assert found.partial_tiles == 0


def test_frequent_tiles_of_three_axes_test_the_fewest_comparisons() -> None:
    found = schedule("gna", (4, 4, 4), (4, 4, 4), shape=(16, 24, 32), window=(6, 10, 14))
    assert len(found.residuals) == LIMIT
    comparisons = [len(atoms(residual)) for residual in found.residuals]
    assert min(comparisons) == 1
    assert comparisons.count(6) == 1, "one residual tests everything, for the rare tiles"


def test_heads_share_residuals_that_mention_the_head() -> None:
    found = schedule("s2", 24, 24, shape=512, heads=8, block=16, local=2, stride=8)
    assert len(found.maps) == 8
    assert len(found.residuals) <= LIMIT
    assert any("head" in text for text in texts(found))


def test_a_choice_by_head_is_decided() -> None:
    found = schedule("cswin", (4, 4), (4, 4), shape=(12, 12), stripe=3, heads=2)
    assert len(found.residuals) == 2
    assert not any("head" in text for text in texts(found))


def test_many_different_residuals_become_few() -> None:
    terms = " or ".join(f"abs(k.n - q.n - {offset}) <= 1" for offset in range(0, 120, 10))
    pattern = attndsl.parse(f"pattern many:\n    space tokens(n)\n    attend {terms}\n")
    assert isinstance(pattern, attndsl.Pattern)
    bound = pattern.bind(shape=128)
    found = build(bound.ir, 4, 4)
    assert len(found.residuals) == LIMIT
    assert (found.to_mask() == bound.mask()).all()


def test_a_residual_over_inputs_alone_serves_every_region() -> None:
    source = """
pattern paired:
    input doc: int[tokens]
    space video(t) ++ text(n)
    attend doc[q] == doc[k]
"""
    pattern = attndsl.parse(source)
    assert isinstance(pattern, attndsl.Pattern)
    found = build(pattern.bind(shape=32, text=16).ir, 8, 8)
    assert texts(found) == ["doc[q] == doc[k]"]
    assert found.residual_regions == (None,)
