"""One operator at a time, printed as Triton and run in its interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attndsl.codegen.triton import PrintedKernel
from attndsl.codegen.triton_configuration import Configuration
from attndsl.codegen.triton_expression import Text, TritonType, print_node, triton_type
from attndsl.codegen.triton_functions import functions_for
from attndsl.ir.expr import Apply, Const, Expr, Position
from attndsl.ir.intervals import Value, apply, between, exactly
from attndsl.runtime.triton_module import load_function

LANES = 64
POINTERS = {"int1": np.int8, "int32": np.int32, "int64": np.int64, "float64": np.float64}


def abstract(values: NDArray[Any]) -> Value:
    """What the interval analysis would know of these values."""
    if values.dtype.kind == "i":
        return between(int(values.min()), int(values.max()))
    if values.dtype.kind == "f":
        return exactly(np.array([values.min(), values.max()]))
    return exactly(np.array([True, False]))


def printed(op: str, values: list[NDArray[Any]], constants: tuple[Any, ...] = ()) -> tuple[str, TritonType]:
    """The text of an operator on arrays named a, b, c (then constants), and its type."""
    names = "abc"
    texts = [Text(f"{names[n]}", _kind(array)) for n, array in enumerate(values)]
    nodes: list[Expr] = [_typed(array, n) for n, array in enumerate(values)]
    ranges = [abstract(array) for array in values]
    for constant in constants:
        node = Const(constant)
        texts.append(print_node(node, (), triton_type(node, exactly(constant)), ()))
        nodes.append(node)
        ranges.append(exactly(np.asarray(constant)))
    root = Apply(op, tuple(nodes))
    kind = triton_type(root, apply(root, ranges))
    return print_node(root, texts, kind, ranges).text, kind


def power_of_two(exponents: NDArray[Any]) -> tuple[str, TritonType]:
    """The text of `2.0 ** a` for integers a, and its type."""
    two, ranges = Const(2.0), [exactly(np.asarray(2.0)), abstract(exponents)]
    texts = [print_node(two, (), "float64", ()), Text("a", "int32")]
    root = Apply("pow", (two, Position("q", 0)))
    return print_node(root, texts, "float64", ranges).text, "float64"


def _typed(array: NDArray[Any], number: int) -> Expr:
    """A node of the type of an array."""
    position = Position("q", number)
    if array.dtype == bool:
        return Apply("lt", (position, Const(1)))
    return Apply("real", (position,)) if array.dtype.kind == "f" else position


def _kind(array: NDArray[Any]) -> TritonType:
    names: dict[str, TritonType] = {"bool": "int1", "int32": "int32", "int64": "int64", "float64": "float64"}
    return names[array.dtype.name]


def compute(text: str, kind: TritonType, values: list[NDArray[Any]]) -> NDArray[Any]:
    """The value of a printed expression for arrays of LANES elements, by Triton's interpreter."""
    names = "abc"[: len(values)]
    loads = "".join(
        f"    {n} = tl.load({n}_values + lane).to(tl.{_kind(v)})\n"
        for n, v in zip(names, values, strict=True)
    )
    parameters = ", ".join(f"{name}_values" for name in names)
    body = (
        f"@triton.jit\ndef forward({parameters}, result):\n    lane = tl.arange(0, {LANES})\n{loads}"
        f"    value = {text}\n    tl.store(result + lane, value)\n"
    )
    source = "import triton\nimport triton.language as tl\n\n\n" + "\n\n".join([*functions_for(text), body])
    result = torch.zeros(LANES, dtype=torch.from_numpy(np.zeros(1, POINTERS[kind])).dtype)
    arrays = [torch.from_numpy(v.astype(np.int8) if v.dtype == bool else v) for v in values]
    load_function(_kernel(source))[(1,)](*arrays, result)
    return result.numpy()


def _kernel(source: str) -> PrintedKernel:
    from attndsl.codegen.forward import forward

    return PrintedKernel(forward(), source, (), {}, Configuration(16, 16, 4, 1), 1, {}, False)
