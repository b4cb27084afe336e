"""Printed C++ expressions compute what the interpreter computes, operator by operator."""

from __future__ import annotations

import ctypes
import math
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from attndsl.codegen.cpp_expression import SPELLINGS, CppType, Text, print_node
from attndsl.codegen.standalone import standalone
from attndsl.ir.expr import Apply, Expr, InputAt
from attndsl.ir.ops import OPS, Scalar

CTYPES: dict[CppType, Any] = {
    "bool": np.bool_,
    "int32_t": np.int32,
    "int64_t": np.int64,
    "double": np.float64,
}
INTEGERS = [-(2**30), -65537, -17, -8, -7, -3, -2, -1, 0, 1, 2, 3, 5, 8, 63, 64, 4097, 2**24 + 1, 2**30]
REALS = [-1e9, -7.5, -2.5, -1.5, -0.5, -0.1, 0.0, 1e-9, 0.5, 0.75, 1.0, 1.5, 2.5, 3.0, 1e9]
VALUES: dict[Scalar, list[Any]] = {"int": list(INTEGERS), "real": list(REALS), "bool": [False, True]}
KINDS: dict[str, list[tuple[Scalar, ...]]] = {
    "number": [("int",), ("real",)],
    "int": [("int",)],
    "bool": [("bool",)],
    "same": [("int",), ("real",), ("bool",)],
}
SMALL: dict[str, list[Any]] = {"pow": [0, 1, 2, 3, 5], "exp": [-20.0, -1.5, 0.0, 0.5, 9.0]}
POSITIVE = {"log2", "sqrt"}


def cases() -> list[tuple[str, tuple[Scalar, ...], bool]]:
    """Operator, operand types, and whether integers are 64 bits wide."""
    found = []
    for op, operator in OPS.items():
        for (kind,) in KINDS[operator.operands]:
            kinds = ("bool", kind, kind) if op == "select" else (kind,) * operator.arity
            found += [(op, kinds, wide) for wide in ((False, True) if kind == "int" else (False,))]
    return found


def types_of(kinds: tuple[Scalar, ...], wide: bool) -> list[CppType]:
    table: dict[Scalar, CppType] = {"int": "int64_t" if wide else "int32_t", "real": "double", "bool": "bool"}
    return [table[kind] for kind in kinds]


def result_type(op: str, kinds: tuple[Scalar, ...]) -> CppType:
    table: dict[Scalar, CppType] = {"int": "int64_t", "real": "double", "bool": "bool"}
    return table[OPS[op].result(kinds)]


def operands_of(op: str, kinds: tuple[Scalar, ...]) -> list[NDArray[Any]]:
    """All combinations of operand values for which the operator is defined."""
    values: list[list[Any]] = [list(VALUES[kind]) for kind in kinds]
    if op in ("floordiv", "mod", "div"):
        values[1] = [value for value in values[1] if value]
    if op == "pow":
        values = [[v for v in values[0] if abs(v) < 100], list(SMALL["pow"])]
    if op in POSITIVE:
        values[0] = [value for value in values[0] if value > 0]
    if op in ("exp", "tanh"):
        values[0] = list(SMALL["exp"]) if kinds[0] == "real" else [-5, 0, 3]
    dtypes: dict[Scalar, Any] = {"int": np.int64, "real": np.float64, "bool": np.bool_}
    grids = np.meshgrid(
        *(np.asarray(v, dtypes[k]) for v, k in zip(values, kinds, strict=True)), indexing="ij"
    )
    return [np.ascontiguousarray(grid.reshape(-1)) for grid in grids]


def function_text(number: int, op: str, kinds: tuple[Scalar, ...], wide: bool) -> str:
    """A C function that applies the printed operator to arrays."""
    types = types_of(kinds, wide)
    leaves: list[Expr] = [InputAt(f"x{i}", "q", kind) for i, kind in enumerate(kinds)]
    operands = [Text(f"x{i}[n]", kind) for i, kind in enumerate(types)]
    result = result_type(op, kinds)
    text = print_node(Apply(op, tuple(leaves)), operands, result, nonnegative=False)
    parameters = "".join(f", const {kind}* x{i}" for i, kind in enumerate(types))
    return (
        f'extern "C" void f{number}(long count, {result}* out{parameters}) '
        f"{{ for (long n = 0; n < count; ++n) out[n] = {text}; }}"
    )


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder: Path = tmp_path_factory.mktemp("operators")
    lines = ['#include "tile_runtime.h"', "using namespace attn;"]
    lines += [function_text(number, *case) for number, case in enumerate(cases())]
    (folder / "operators.cpp").write_text(standalone("\n".join(lines) + "\n"), encoding="utf-8")
    command = ["c++", "-std=c++17", "-O3", "-march=native", "-shared", "-fPIC", "-fwrapv", "-w"]
    subprocess.run([*command, str(folder / "operators.cpp"), "-o", str(folder / "operators.so")], check=True)
    return ctypes.CDLL(str(folder / "operators.so"))


def test_every_operator_has_a_spelling() -> None:
    assert set(SPELLINGS) == set(OPS)


@pytest.mark.parametrize(
    ("number", "case"),
    list(enumerate(cases())),
    ids=[f"{op}-{'-'.join(k)}-{64 if w else 32}" for op, k, w in cases()],
)
def test_an_operator_agrees_with_the_interpreter(
    library: ctypes.CDLL, number: int, case: tuple[str, tuple[Scalar, ...], bool]
) -> None:
    op, kinds, wide = case
    operands = operands_of(op, kinds)
    with np.errstate(all="ignore"):
        wanted = np.asarray(OPS[op].evaluate(*operands))
    stored = [
        np.ascontiguousarray(operand.astype(CTYPES[kind]))
        for operand, kind in zip(operands, types_of(kinds, wide), strict=True)
    ]
    if wanted.dtype.kind == "i" and not wide and op in ("add", "sub", "mul", "abs", "neg", "pow"):
        keep = np.abs(wanted) < 2**31  # the printer uses 32 bits only where the result is proven to fit
        wanted, stored = wanted[keep], [np.ascontiguousarray(operand[keep]) for operand in stored]
    out = np.empty(len(wanted), CTYPES[result_type(op, kinds)])
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (out, *stored)]
    getattr(library, f"f{number}")(ctypes.c_long(len(out)), *pointers)
    if OPS[op].result(kinds) == "real" and op in ("exp", "log2", "tanh", "erf", "pow"):
        np.testing.assert_allclose(out, wanted, rtol=4 * np.finfo(float).eps)
    else:
        np.testing.assert_array_equal(out, wanted)


def test_integers_that_fit_into_32_bits_use_32_bits_even_if_their_operands_do_not() -> None:
    text = print_node(
        Apply("mod", (InputAt("a", "q", "int"), InputAt("b", "q", "int"))),
        [Text("a", "int64_t"), Text("b", "int32_t")],
        "int32_t",
        nonnegative=True,
    )
    assert text.text == "int32_t(a % int64_t(b))"


def test_infinite_constants_can_be_written() -> None:
    from attndsl.ir.expr import Const

    assert print_node(Const(-math.inf), (), "double", False).text == "(-double(infinity))"
