"""Ranges of sub-expressions of a residual: over the segments it belongs to, and no further."""

from __future__ import annotations

import attndsl
from attndsl.codegen.ranges import node_ranges
from attndsl.ir.domain import Strided
from attndsl.ir.expr import Apply, Const, Head, Position

IR = (
    attndsl.parse("pattern p():\n    space video(h, w) ++ text(n)\n    attend true\n")
    .bind(shape=(3, 2**20), text=5, heads=7)
    .ir
)
HEIGHT, WIDTH = Position("q", 0), Position("k", 1)


def bounds(value: object) -> tuple[int, int]:
    assert isinstance(value, Strided)
    return int(value.lo.item()), int(value.hi.item())


def test_coordinates_stay_inside_their_segment() -> None:
    product = Apply("mul", (HEIGHT, WIDTH))
    ranges = node_ranges(IR, product, (0, 0))
    assert bounds(ranges[HEIGHT]) == (0, 2)
    assert bounds(ranges[product]) == (0, 2 * (2**20 - 1))
    assert bounds(node_ranges(IR, HEIGHT, (1, 0))[HEIGHT]) == (0, 4)


def test_bounds_do_not_overflow() -> None:
    power = Apply("mul", (Apply("mul", (WIDTH, Const(2**40))), Const(2**20)))
    assert bounds(node_ranges(IR, power, (0, 0))[power]) == (0, (2**20 - 1) * 2**60)


def test_predicates_without_coordinates_have_no_place() -> None:
    assert bounds(node_ranges(IR, Head(), None)[Head()]) == (0, 6)
