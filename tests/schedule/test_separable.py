"""Which masks are products over the axes, and what their factors are."""

from __future__ import annotations

import pytest

import attndsl
from attndsl.ir.expr import Expr
from attndsl.ir.text import expression
from attndsl.schedule.build import tiling
from attndsl.schedule.heads import head_classes
from attndsl.schedule.region import Region
from attndsl.schedule.separable import axis_problem, components


def region_and_mask(condition: str, declarations: str = "") -> tuple[Region, Expr]:
    source = f"pattern p:\n    space video(t, x)\n{declarations}    attend {condition}\n"
    pattern = attndsl.parse(source)
    assert isinstance(pattern, attndsl.Pattern)
    ir = pattern.bind(shape=(6, 8), heads=2).ir
    tiles = tiling(ir.query_space, (2, 4), (1, 1)).segments[0]
    return Region(tiles, tiles), head_classes(ir)[0][0].masks[0]


def found(condition: str) -> list[tuple[int | None, int | None, int]] | None:
    """Query axis, key axis and number of factors of each component."""
    parts = components(*region_and_mask(condition))
    return None if parts is None else [(part.query, part.key, len(part.factors)) for part in parts]


@pytest.mark.parametrize(
    ("condition", "parts"),
    [
        ("k.t <= q.t and abs(k.x - q.x) < 3", [(0, 0, 1), (1, 1, 1)]),
        ("k.t <= q.t and k.t > q.t - 2", [(0, 0, 2), (None, 1, 0)]),
        ("k.t < 3 and q.x > 1", [(None, 0, 1), (None, 1, 0), (1, None, 1)]),
        ("k.t < 3 and q.x > 1 and k.x <= q.x", [(None, 0, 1), (1, 1, 2)]),
        ("k.x <= q.t", [(None, 0, 0), (0, 1, 1)]),
        ("k.t <= q.t or k.x <= q.x", None),
        ("k.t <= q.t and k.x <= q.t", None),
        ("k.t + k.x < 3", None),
        ("k.t <= q.t and k.t <= q.x", None),
        ("k.index <= q.index", None),
        ("true", None),
    ],
)
def test_products_are_recognised(
    condition: str, parts: list[tuple[int | None, int | None, int]] | None
) -> None:
    assert found(condition) == parts


def test_masks_over_inputs_are_no_products() -> None:
    region, mask = region_and_mask("k.t <= q.t and doc[q] == doc[k]", "    input doc: int[tokens]\n")
    assert components(region, mask) is None


def test_a_factor_becomes_a_mask_over_one_axis() -> None:
    region, mask = region_and_mask("k.t <= q.t and abs(k.x - q.x) < 3")
    parts = components(region, mask)
    assert parts is not None
    axis, root, _ = axis_problem(region, parts[1])
    assert axis.tilings[0].segment.extents == (8,)
    assert expression(root) == "abs(k.axis0 - q.axis0) < 3"
