"""Which condition makes which tiles partial: against the conditions evaluated one by one."""

from __future__ import annotations

import pytest

import attndsl
from attndsl.ir.bound import BoundIR, Region
from attndsl.schedule.build import build
from attndsl.simulate.blame import blame

TEXT = """
pattern local(left: int, sink: int):
    space tokens(n)
    let recent = q.n - k.n < left
    attend k.n <= q.n and (recent or k.n < sink)
"""


def test_each_condition_counts_the_tiles_in_which_it_decides() -> None:
    bound = attndsl.parse(TEXT, "local.attn").bind(shape=64, left=20, sink=3)
    found = {each.text: each for each in blame(bound.schedule(8, 8))}
    # the diagonal; the far border of the band, where the sink is not; the first column, where the band is not
    assert {text: each.tiles for text, each in found.items()} == {
        "k.n <= q.n": 8,
        "q.n - k.n < left": 11,
        "k.n < sink": 6,
    }
    assert str(found["q.n - k.n < left"].place) == "local.attn:4:18"
    assert found["k.n < sink"].clause == "k.n <= q.n and (recent or k.n < sink)"
    assert found["k.n < sink"].axes == ("n",)


def test_conditions_of_functions_are_named_by_axis() -> None:
    schedule = attndsl.pattern("gna").bind(shape=(8, 16), window=(3, 4)).schedule((4, 4), (4, 4))
    found = blame(schedule)
    assert {each.axes for each in found} == {("axis0",), ("axis1",)}
    assert {each.text for each in found} == {"start <= key // dilation < end"}
    assert all(str(each.clause_place).startswith("gna.attn:") for each in found)
    assert all(str(each.place).startswith("prelude.attn:") for each in found)


@pytest.mark.parametrize("stride", [(1, 1), (4, 1), (4, 4)])
def test_an_axis_is_to_blame_where_its_own_table_is_partial(stride: tuple[int, int]) -> None:
    bound = attndsl.pattern("gna").bind(shape=(16, 16), window=(8, 8), stride=stride)
    schedule = bound.schedule((4, 4), (4, 4))
    mask = bound.mask()[0].reshape(4, 4, 4, 4, 4, 4, 4, 4)
    visited = mask.any(axis=(1, 3, 5, 7))
    expected = {}
    for axis, others in ((0, (2, 3, 6, 7)), (1, (0, 1, 4, 5))):
        own = mask.any(axis=others)  # [q tile, q inside, kv tile, kv inside] of this axis
        partial = ~own.all(axis=(1, 3))
        spread = partial[:, None, :, None] if axis == 0 else partial[None, :, None, :]
        expected[(f"axis{axis}",)] = int((visited & spread).sum())
    found = {each.axes: each.tiles for each in blame(schedule)}
    assert found == {axes: tiles for axes, tiles in expected.items() if tiles}


def test_heads_with_different_masks_add_up() -> None:
    bound = attndsl.pattern("cswin").bind(shape=(8, 8), heads=4, stripe=1)
    schedule = bound.schedule((4, 4), (4, 4))
    found = blame(schedule)
    assert sum(each.tiles for each in found) == schedule.partial_tiles
    assert sorted(each.axes for each in found) == [("x",), ("y",)]


def test_nothing_is_to_blame_without_partial_tiles() -> None:
    assert blame(attndsl.pattern("blocked").bind(shape=32, window=8).schedule(8, 8)) == ()


def test_masks_built_without_a_text_are_spelled_from_the_expressions() -> None:
    ir = attndsl.pattern("causal").bind(shape=16).ir
    regions = tuple(Region(each.query, each.key, each.visible) for each in ir.regions)
    (found,) = blame(build(BoundIR("bare", ir.query_space, ir.key_space, 1, 1, regions), 4, 4))
    assert (found.text, found.tiles) == ("k.n <= q.n", 4)
    assert found.place is found.clause_place is None


def test_a_chain_that_one_head_shortens_is_blamed_as_it_was_written() -> None:
    text = """pattern p(alpha: int[heads]):
    space tokens(n)
    attend (q.n >= alpha[head]) and (q.n <= head < 1)
"""
    schedule = attndsl.parse(text).bind(shape=4, heads=2, alpha=(0, 0)).schedule()
    assert [entry.text for entry in blame(schedule)] == ["q.n <= head < 1"]
