"""Regions: expressions over pairs of boxes, exact where their operands are few."""

from __future__ import annotations

import numpy as np
import pytest

from attndsl.ir.bound import Segment
from attndsl.ir.expr import Apply, Const, Expr, InputAt, Position
from attndsl.ir.intervals import Truth
from attndsl.schedule.pairs import Pairs, all_pairs
from attndsl.schedule.region import Region
from attndsl.schedule.tiling import AxisTiling, SegmentTiling

Q, K = Position("q", 0), Position("k", 0)


def op(name: str, *args: Expr | int) -> Expr:
    return Apply(name, tuple(Const(arg) if isinstance(arg, int) else arg for arg in args))


def line(extent: int, size: int, step: int = 1) -> SegmentTiling:
    return SegmentTiling(Segment("tokens", ("n",), (extent,), 0), (AxisTiling(extent, size, step),))


def decided(truth: Truth) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return ~(truth.may_hold & truth.may_fail)


LONG = 100_000


@pytest.mark.parametrize("level", [0, -3])
def test_one_sided_correlations_cost_no_precision(level: int) -> None:
    region = Region(line(LONG, 64), line(LONG, 64))
    residue = op("sub", Q, op("mul", op("floordiv", Q, 4), 4))  # q % 4, the long way
    pairs = all_pairs(region.axes, region.axes.coarsest)
    never = region.truth(op("and", op("eq", residue, 5), op("le", K, Q)), pairs)
    assert not never.may_hold.any()
    pairs = Pairs(region.axes, level, np.array([0, 5]), np.array([3, 3]))
    assert region.truth(op("lt", residue, 4), pairs).may_fail.tolist() == [False, False]


def test_two_sided_correlations_on_short_axes_cost_no_precision() -> None:
    region = Region(line(40, 8), line(40, 8))
    distance = op("sub", K, Q)
    contradiction = op("and", op("lt", distance, 2), op("gt", op("mul", distance, 3), 6))
    assert not region.truth(contradiction, all_pairs(region.axes, 0)).may_hold.any()


def test_residue_tiles_decide_equality_of_residues() -> None:
    region = Region(line(LONG, 64, step=8), line(LONG, 64, step=8))
    random = np.random.default_rng(0).integers(0, region.tilings[0].tiles, (2, 500))
    pairs = Pairs(region.axes, 0, random[0], random[1])
    assert decided(region.truth(op("eq", op("mod", Q, 8), op("mod", K, 8)), pairs)).all()


def test_samples_are_single_token_pairs() -> None:
    region = Region(line(LONG, 64), line(LONG, 64))
    pairs = Pairs(region.axes, 0, np.array([7]), np.array([7]))
    causal = op("le", K, Q)
    assert region.truth_at(causal, pairs, (1.0, 0.0)).may_hold.tolist() == [True]
    assert region.truth_at(causal, pairs, (0.0, 1.0)).may_hold.tolist() == [False]
    assert decided(region.truth_at(causal, pairs, (0.3, 0.7))).all()


def test_inputs_decide_once_they_are_known() -> None:
    same = op("eq", InputAt("doc", "q", "int"), InputAt("doc", "k", "int"))
    doc = np.arange(LONG) // 1000
    unknown, known = (
        Region(line(LONG, 50), line(LONG, 50)),
        Region(line(LONG, 50), line(LONG, 50), {"doc": doc}),
    )
    pairs = Pairs(known.axes, 0, np.array([0, 0]), np.array([19, 20]))
    assert unknown.is_unknown(same)
    assert not decided(unknown.truth(same, Pairs(unknown.axes, 0, pairs.query, pairs.key))).any()
    assert known.truth(same, pairs).may_hold.tolist() == [True, False]
    assert known.truth(same, pairs).may_fail.tolist() == [False, True]


def test_children_are_all_pairs_inside() -> None:
    region = Region(line(24, 4), line(20, 4))
    pairs = all_pairs(region.axes, -1)
    children, origin = pairs.children()
    assert sorted(zip(children.query.tolist(), children.key.tolist(), strict=True)) == [
        (q, k) for q in range(6) for k in range(5)
    ]
    assert (children.query // 2 == pairs.query[origin]).all()
    assert (children.key // 2 == pairs.key[origin]).all()
    some, _ = pairs.children(rows=np.arange(6) == 4)
    assert set(some.query.tolist()) == {4}
    assert len(some) == 5
