"""Interval analysis: each rule contains every value of its operator, and is exact where it promises to be."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attndsl.ir import intervals
from attndsl.ir.expr import Apply, Const, Expr, InputAt, Position, Table
from attndsl.ir.interval_rules import RULES
from attndsl.ir.intervals import Strided, Truth, Value
from attndsl.ir.ops import OPS

X, Y, Z = Position("q", 0), Position("k", 0), Position("k", 1)
NUMBER_OPS = [name for name, op in OPS.items() if op.operands == "number" and name != "pow"]


def strided(members: range) -> Strided:
    return intervals.between(members[0], members[-1], members.step)


def bounds(value: Strided) -> tuple[float, float]:
    return value.lo.item(), value.hi.item()


def contains(value: Value, result: Any) -> bool:
    if isinstance(value, Truth):
        return bool(value.may_hold if result else value.may_fail)
    if not value.lo <= result <= value.hi:
        return False
    return value.stride is None or (result - value.lo) % max(int(value.stride), 1) == 0


@st.composite
def ranges(draw: st.DrawFn, lowest: int = -40, highest: int = 40) -> range:
    start, step, count = draw(st.integers(lowest, highest)), draw(st.integers(1, 9)), draw(st.integers(1, 6))
    return range(start, start + step * count, step)


def reals(bound: float) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(-bound, bound), min_size=1, max_size=5)


def defined(name: str, members: tuple[Any, ...]) -> bool:
    """Bind makes sure that an operator is applied only where it has a value."""
    if name in ("div", "floordiv", "mod"):
        return bool(members[1] != 0)
    return not (name in ("log2", "sqrt") and members[0] <= 0)


def check_contained(name: str, value: Value, operands: list[Any], kind: Any) -> None:
    for members in itertools.product(*operands):
        if defined(name, members):
            result = OPS[name].evaluate(*map(kind, members))
            assert contains(value, result), (members, result, value)


def test_every_operator_has_a_rule() -> None:
    assert RULES.keys() == OPS.keys()


@pytest.mark.parametrize("name", NUMBER_OPS)
@settings(deadline=None)
@given(first=ranges(), second=ranges())
def test_rules_contain_every_value_of_integers(name: str, first: range, second: range) -> None:
    operands = [first, second][: OPS[name].arity]
    known: dict[Expr, Value] = dict(zip((X, Y), map(strided, operands), strict=False))
    value = intervals.evaluate(Apply(name, tuple(known)), known.__getitem__)
    check_contained(name, value, operands, np.int64)


@settings(deadline=None)
@given(base=ranges(-9, 9), exponent=st.integers(0, 4), count=st.integers(1, 4))
def test_powers_contain_every_value_of_integers(base: range, exponent: int, count: int) -> None:
    operands = [base, range(exponent, exponent + count)]
    value = RULES["pow"](*map(strided, operands))
    check_contained("pow", value, operands, np.int64)


@pytest.mark.parametrize("name", [name for name in NUMBER_OPS if name != "bit_length"])
@settings(deadline=None)
@given(first=reals(50), second=reals(5))
def test_rules_contain_every_value_of_reals(name: str, first: list[float], second: list[float]) -> None:
    operands = [first, second][: OPS[name].arity]
    with np.errstate(all="ignore"):
        value = RULES[name](*(Strided(np.asarray(min(xs)), np.asarray(max(xs)), None) for xs in operands))
        check_contained(name, value, operands, np.float64)


@settings(deadline=None)
@given(base=st.lists(st.floats(0.125, 8), min_size=1, max_size=5), exponent=reals(5))
def test_powers_contain_every_value_of_reals(base: list[float], exponent: list[float]) -> None:
    operands = [base, exponent]
    value = RULES["pow"](*(Strided(np.asarray(min(xs)), np.asarray(max(xs)), None) for xs in operands))
    check_contained("pow", value, operands, np.float64)


@settings(deadline=None)
@given(first=ranges(), second=ranges(), third=ranges())
def test_a_choice_contains_the_branches_that_are_possible(first: range, second: range, third: range) -> None:
    choice = Apply("select", (Apply("lt", (X, Y)), Y, Z))
    known: dict[Expr, Value] = {X: strided(first), Y: strided(second), Z: strided(third)}
    value = intervals.evaluate(choice, known.__getitem__)
    for x, y, z in itertools.product(first, second, third):
        assert contains(value, y if x < y else z)


@pytest.mark.parametrize("name", ["and", "or", "eq", "ne"])
def test_logic_is_exact_on_independent_operands(name: str) -> None:
    for first, second in itertools.product([(True,), (False,), (True, False)], repeat=2):
        truths = [Truth(np.asarray(True in xs), np.asarray(False in xs)) for xs in (first, second)]
        results = {bool(OPS[name].evaluate(x, y)) for x in first for y in second}
        value = RULES[name](*truths)
        assert isinstance(value, Truth)
        assert (bool(value.may_hold), bool(value.may_fail)) == (True in results, False in results)


@pytest.mark.parametrize("name", ["add", "sub", "min", "max", "lt", "le", "gt", "ge"])
@settings(deadline=None)
@given(first=ranges(), second=ranges())
def test_monotone_operators_are_exact_on_independent_operands(name: str, first: range, second: range) -> None:
    value = RULES[name](strided(first), strided(second))
    results = {OPS[name].evaluate(x, y).item() for x in first for y in second}
    if isinstance(value, Truth):
        assert (bool(value.may_hold), bool(value.may_fail)) == (True in results, False in results)
    else:
        assert bounds(value) == (min(results), max(results))


@settings(deadline=None)
@given(
    start=st.integers(-50, 50), multiple=st.integers(1, 5), divisor=st.integers(1, 9), count=st.integers(1, 5)
)
def test_division_is_exact_on_one_residue_class(start: int, multiple: int, divisor: int, count: int) -> None:
    step = multiple * divisor
    members = strided(range(start, start + step * count, step))
    remainder = RULES["mod"](members, intervals.exactly(divisor))
    quotient = RULES["floordiv"](members, intervals.exactly(divisor))
    assert isinstance(remainder, Strided)
    assert isinstance(quotient, Strided)
    assert remainder.lo == remainder.hi == start % divisor
    assert bounds(quotient) == (start // divisor, (start + step * (count - 1)) // divisor)
    assert quotient.stride == (multiple if count > 1 else 0)


def test_equality_uses_congruences() -> None:
    evens, odds = strided(range(0, 20, 2)), strided(range(1, 21, 2))
    value = RULES["eq"](evens, odds)
    assert isinstance(value, Truth)
    assert not value.may_hold


def test_many_boxes_are_evaluated_at_once() -> None:
    tiles = intervals.between(np.array([0, 4, 8]), np.array([3, 7, 11]))
    visible = Apply("le", (Y, X))
    value = intervals.evaluate(
        visible, lambda node: tiles if node is Y else Strided(*(a[:, None] for a in vars_of(tiles)))
    )
    assert isinstance(value, Truth)
    assert value.may_hold.tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert value.may_fail.tolist() == [[True, True, True], [False, True, True], [False, False, True]]


def vars_of(value: Strided) -> tuple[Any, Any, Any]:
    assert value.stride is not None
    return value.lo, value.hi, value.stride


@settings(deadline=None)
@given(index=ranges(0, 3))
def test_a_table_is_read_at_every_index_of_the_range(index: range) -> None:
    entries = tuple(3 * i * i - 7 for i in range(60))
    value = intervals.evaluate(Table("alpha", entries, X), lambda node: strided(index))
    assert all(contains(value, entries[i]) for i in index)


def test_unlimited_integers_show_an_overflow() -> None:
    square: Expr = X
    for _ in range(3):
        square = Apply("mul", (square, square))
    values = intervals.evaluate_all([square], lambda node: intervals.between(0, 2**20), unlimited=True)
    product = values[square]
    assert isinstance(product, Strided)
    assert product.hi == 2**160


def test_a_division_by_what_may_be_zero_is_unbounded() -> None:
    value = intervals.evaluate(Apply("floordiv", (Const(7), X)), lambda node: strided(range(-1, 2)))
    assert isinstance(value, Strided)
    assert bounds(value) == (-np.inf, np.inf)


def test_an_input_without_known_values_stays_undecided() -> None:
    doc = Apply("eq", (InputAt("doc", "q", "int"), InputAt("doc", "k", "int")))
    value = intervals.evaluate(doc, lambda node: intervals.UNKNOWN_NUMBER)
    assert isinstance(value, Truth)
    assert value.may_hold
    assert value.may_fail


def test_known_values_are_not_computed_again() -> None:
    known: dict[Expr, Value] = {Apply("add", (X, Y)): intervals.exactly(5)}
    root = Apply("mul", (Apply("add", (X, Y)), Const(2)))

    def no_leaf(node: Expr) -> Value:
        raise AssertionError(node)

    value = intervals.evaluate_all([root], no_leaf, known=known)[root]
    assert isinstance(value, Strided)
    assert value.lo == value.hi == 10
