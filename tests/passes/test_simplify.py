"""Simplification keeps the value of every expression and leaves nothing constant to compute."""

from __future__ import annotations

import pytest

from attndsl.ir.expr import FALSE, TRUE, Apply, Const, Expr, Position
from attndsl.passes.simplify import ImpossibleValueError, simplify

Q, K = Position("q", 0), Position("k", 0)
SMALL = Apply("lt", (Q, K))


def op(name: str, *args: Expr | int | float | bool) -> Expr:
    return Apply(name, tuple(arg if isinstance(arg, Expr) else Const(arg) for arg in args))


@pytest.mark.parametrize(
    ("expr", "simple"),
    [
        (op("add", 2, op("mul", 3, 4)), Const(14)),
        (op("floordiv", -7, 2), Const(-4)),
        (op("mod", -7, 3), Const(2)),
        (op("div", 7, 2), Const(3.5)),
        (op("pow", 2, 62), Const(2**62)),
        (op("bit_length", 255), Const(8)),
        (op("floor", -0.5), Const(-1)),
        (op("exp", 0), Const(1.0)),
        (op("and", TRUE, SMALL), SMALL),
        (op("and", SMALL, FALSE), FALSE),
        (op("and", SMALL, SMALL), SMALL),
        (op("or", FALSE, SMALL), SMALL),
        (op("or", SMALL, TRUE), TRUE),
        (op("not", op("not", SMALL)), SMALL),
        (op("select", TRUE, Q, K), Q),
        (op("select", SMALL, Q, Q), Q),
        (op("select", TRUE, 1, 0.5), Const(1.0)),
        (op("add", Q, 0), Q),
        (op("mul", 1, Q), Q),
        (op("mul", Q, 0), Const(0)),
        (op("add", Q, 0.0), op("real", Q)),
        (op("floordiv", Q, 1), Q),
        (op("mod", Q, 1), Const(0)),
        (op("sub", Q, Q), Const(0)),
        (op("max", Q, Q), Q),
        (op("eq", Q, Q), TRUE),
        (op("lt", Q, Q), FALSE),
        (op("floor", Q), Q),
    ],
)
def test_rules(expr: Expr, simple: Expr) -> None:
    assert simplify(expr) is simple


@pytest.mark.parametrize(
    "expr",
    [
        op("floordiv", 1, 0),
        op("mod", 1, 0),
        op("div", 1, 0),
        op("pow", 2, 63),
        op("pow", 10, 10**10),
        op("pow", 2, -1),
        op("pow", 0.0, -1),
        op("pow", -1.0, 0.5),
        op("mul", 2**40, 2**40),
        op("log2", 0),
        op("sqrt", -1),
        op("exp", 1000),
    ],
)
def test_values_that_do_not_exist(expr: Expr) -> None:
    with pytest.raises(ImpossibleValueError):
        simplify(expr)


def test_equal_expressions_are_one_object_but_numbers_of_different_types_are_not() -> None:
    assert op("add", Q, 1) is op("add", Q, 1)
    assert Const(1) is not Const(1.0)
    assert Const(1) is not Const(True)
