"""Every operator of the language, printed as Triton and interpreted, against its meaning in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from attndsl.codegen.triton_expression import SPELLINGS
from attndsl.ir.ops import OPS
from tests.codegen.triton_expressions import LANES, compute, power_of_two, printed
from tests.runtime.triton_worker import interpreted, needs_triton

pytestmark = needs_triton

GENERATOR = np.random.default_rng(0)
INTS = GENERATOR.integers(-50, 50, LANES).astype(np.int32)
OTHERS = GENERATOR.integers(1, 9, LANES).astype(np.int32) * np.where(np.arange(LANES) % 2, 1, -1).astype(
    np.int32
)
LARGE = GENERATOR.integers(-(2**60), 2**60, LANES)
REALS = GENERATOR.normal(size=LANES) * 10
HALVES = np.arange(-LANES // 2, LANES // 2) / 2
TRUTHS = GENERATOR.random(LANES) < 0.5


def check(op: str, values: list[NDArray[Any]], *constants: Any, tolerance: float = 0.0) -> None:
    text, kind = printed(op, values, constants)
    found = interpreted(compute, text, kind, values)
    wide = [value.astype(np.int64) if value.dtype.kind == "i" else value for value in values]
    with np.errstate(all="ignore"):
        wanted = OPS[op].evaluate(*wide, *constants)
    np.testing.assert_allclose(found, np.asarray(wanted).astype(found.dtype), rtol=tolerance, atol=tolerance)


def test_every_operator_is_spelled() -> None:
    assert set(SPELLINGS) | {"pow"} == set(OPS)


@pytest.mark.parametrize(
    "op", ["add", "sub", "mul", "div", "floordiv", "mod", "min", "max", "lt", "le", "gt", "ge", "eq", "ne"]
)
def test_two_numbers(op: str) -> None:
    check(op, [INTS, OTHERS])
    check(op, [REALS, HALVES + 0.25])
    check(op, [INTS, HALVES + 0.25])
    if op != "mul":
        check(op, [LARGE, OTHERS])


@pytest.mark.parametrize("op", ["floordiv", "mod"])
@pytest.mark.parametrize("divisor", [7, -7, 2**40, 2.5, -0.75])
def test_division_rounds_to_minus_infinity(op: str, divisor: Any) -> None:
    check(op, [INTS], divisor)
    check(op, [LARGE if isinstance(divisor, int) else HALVES], divisor)


@pytest.mark.parametrize("op", ["neg", "abs", "bit_length", "floor", "ceil", "round", "int", "real"])
def test_one_number(op: str) -> None:
    check(op, [INTS])
    if op == "bit_length":
        check(op, [GENERATOR.integers(0, 2**50, LANES)])
    else:
        check(op, [HALVES if op != "real" else REALS])


@pytest.mark.parametrize("op", ["exp", "log2", "sqrt", "tanh", "erf"])
def test_functions_of_reals(op: str) -> None:
    check(op, [np.abs(REALS) + 0.1], tolerance=1e-15)
    check(op, [np.abs(INTS) + 1], tolerance=1e-15)


def test_powers() -> None:
    check("pow", [INTS, np.abs(OTHERS)])
    check("pow", [np.abs(INTS)], 3)
    check("pow", [np.abs(REALS) + 0.1, REALS / 10], tolerance=1e-13)
    check("pow", [REALS], 5, tolerance=1e-14)


def test_powers_of_two_are_exact() -> None:
    exponents = GENERATOR.integers(-1000, 1000, LANES).astype(np.int32)
    found = interpreted(compute, *power_of_two(exponents), [exponents])
    assert found.tolist() == np.power(2.0, exponents).tolist()


def test_logic_and_choice() -> None:
    for op in ("and", "or", "eq", "ne"):
        check(op, [TRUTHS, INTS < 0])
    check("not", [TRUTHS])
    check("select", [TRUTHS, INTS, OTHERS])
    check("select", [TRUTHS, INTS], 2**40)
    check("select", [TRUTHS, REALS, HALVES])
    check("select", [TRUTHS], 1, 2)


def test_integers_are_as_wide_as_they_must_be() -> None:
    assert printed("add", [INTS], (5,)) == ("a + 5", "int32")
    assert printed("mul", [INTS], (2**40,)) == (
        "a.to(tl.int64) * tl.full([], 1099511627776, tl.int64)",
        "int64",
    )
    assert printed("floordiv", [np.abs(INTS)], (3,)) == ("a // 3", "int32")
    assert printed("floordiv", [INTS], (3,)) == ("floor_divide(a, 3)", "int32")
