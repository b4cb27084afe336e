"""Tile sizes that do not fit are refused with one cause and one fix."""

from __future__ import annotations

from typing import Any

import pytest

import attndsl
from attndsl.diagnostics import AttnScheduleError
from attndsl.ir.bound import BoundIR
from attndsl.schedule.build import build


@pytest.fixture(scope="module")
def plane() -> BoundIR:
    return attndsl.pattern("gna").bind(shape=(40, 48), window=(5, 7)).ir


@pytest.mark.parametrize(
    ("q_tile", "kv_tile", "step", "code", "text"),
    [
        (16, None, None, "A0501", "q_tile has 1 entry, but `tokens` has 2 axes"),
        ((4, 4), (4, 4, 4), None, "A0501", "kv_tile has 3 entries"),
        ((0, 4), None, None, "A0502", "q_tile must be 1 or more tokens on each axis"),
        (None, (4, -1), None, "A0502", "kv_tile must be 1 or more"),
        ((4, 2.5), None, None, "A0502", "it is 2.5"),
        ((4, True), None, None, "A0502", "it is True"),
        ("ab", None, None, "A0501", "q_tile has 1 entry"),
        ((32, 48), None, None, "A0503", "q_tile has 1,536 tokens, more than 1,024"),
        ((4, 4), (4, 4), (1, 0), "A0502", "step must be 1 or more"),
        ((4, 4), (4, 4), 2, "A0501", "step has 1 entry"),
    ],
)
def test_wrong_tiles_are_refused(
    plane: BoundIR, q_tile: Any, kv_tile: Any, step: Any, code: str, text: str
) -> None:
    with pytest.raises(AttnScheduleError) as refusal:
        build(plane, q_tile, kv_tile, step)
    assert refusal.value.code == code
    assert text in str(refusal.value)
    assert refusal.value.help


def test_a_step_needs_the_same_axes_on_both_sides() -> None:
    source = "pattern crossed:\n    query space a(n)\n    key space b(h, w)\n    attend q.n >= k.h\n"
    pattern = attndsl.parse(source)
    assert isinstance(pattern, attndsl.Pattern)
    ir = pattern.bind(shape=8, key_shape=(4, 4)).ir
    with pytest.raises(AttnScheduleError, match="A0504"):
        build(ir, 4, (2, 2), step=2)
    assert build(ir, 4, (2, 2), step=1).q_step == (1,)


def test_an_integer_is_a_tile_of_one_axis() -> None:
    found = build(attndsl.pattern("causal").bind(shape=10).ir, q_tile=4, kv_tile=[5])
    assert (found.q_tile, found.kv_tile) == ((4,), (5,))


def test_tiles_longer_than_their_axis_are_cut_off_but_reported_as_given(plane: BoundIR) -> None:
    found = build(plane, (64, 8), (1, 512))
    assert (found.q_tile, found.kv_tile) == ((64, 8), (1, 512))
    assert (found.q_tiling.capacity, found.kv_tiling.capacity) == (320, 48)
