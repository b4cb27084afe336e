"""Interval analysis in torch: sound for every operator that it knows, beside evaluation of all values."""

from __future__ import annotations

import itertools

import pytest
import torch

from attndsl.ir.expr import Apply, Const, Expr, Position
from attndsl.ir.ops import OPS
from attndsl.runtime.triton_intervals import Range, Truth, truth

X, Y = Position("q", 0), Position("k", 0)
RANGES = [(low, high) for low in range(-4, 5) for high in range(low, 5)]


@pytest.mark.parametrize(
    "number",
    [
        Apply("mul", (X, Y)),
        Apply("abs", (Apply("sub", (X, Y)),)),
        Apply("floordiv", (X, Const(3))),
        Apply("mod", (X, Const(3))),
        Apply("max", (Apply("neg", (X,)), Apply("min", (Y, Const(1))))),
    ],
    ids=lambda each: each.op,
)
@pytest.mark.parametrize("comparison", ["lt", "le", "eq", "ne"])
def test_no_value_that_can_occur_is_left_out(number: Expr, comparison: str) -> None:
    root = Apply(comparison, (number, Y))
    for x, y in itertools.product(RANGES, RANGES[::5]):
        bounds = {X: x, Y: y}
        found = truth(root, lambda leaf, bounds=bounds: _range(bounds[leaf]))  # type: ignore[misc]
        assert isinstance(found, Truth)
        values = {_value(root, {X: a, Y: b}) for a in range(x[0], x[1] + 1) for b in range(y[0], y[1] + 1)}
        assert bool(found.may_hold) or True not in values
        assert bool(found.may_fail) or False not in values


def test_remainders_are_exact_inside_a_period() -> None:
    root = Apply("eq", (Apply("mod", (X, Const(4))), Const(1)))
    found = truth(root, lambda leaf: _range((5, 5)))
    assert found is not None
    assert (bool(found.may_hold), bool(found.may_fail)) == (True, False)


def _range(bounds: tuple[int, int]) -> Range:
    return Range(*map(torch.tensor, bounds))


def _value(node: Expr, at: dict[Expr, int]) -> object:
    if isinstance(node, Const):
        return node.value
    if isinstance(node, Apply):
        return OPS[node.op].evaluate(*(_value(arg, at) for arg in node.args))
    return at[node]
