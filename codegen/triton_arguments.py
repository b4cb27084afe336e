"""The parameters of a Triton kernel: what the printer declares and the launcher passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.triton_tensors import Tensors
from attndsl.ir.bound import BoundIR

Role = Literal["tensor", "stride", "input", "number", "schedule", "array", "count"]

ELEMENTS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16", "float8_e4m3fn": "fp8e4nv"}
"""Triton's names of the types of tensors."""

STRIDES = ("batch", "head", "token", "channel")
_ARRAYS = {"int8": "*i8", "int32": "*i32", "int64": "*i64", "float64": "*fp64"}


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    type: as in Triton's signatures. aligned: in the usual layout it is a multiple of 16 bytes or elements.
    """

    name: str
    type: str
    role: Role
    aligned: bool = False


def parameters(
    tensors: Tensors,
    ir: BoundIR,
    dtype: str,
    schedule: dict[str, NDArray[Any]],
    arrays: dict[str, NDArray[Any]],
    inputs: bool,
) -> tuple[Parameter, ...]:
    """All parameters in order.

    schedule, arrays: what the kernel reads of the schedule and for its mask. inputs: whether it reads the
    pattern's inputs.
    """
    return (
        *(Parameter(each.name, _tensor_type(tensors, each, dtype), "tensor", True) for each in tensors.all),
        *(stride for each in tensors.all if each not in tensors.boxes for stride in strides(each)),
        *(_inputs(ir) if inputs else ()),
        *(Parameter(argument.name, "fp32", "number") for argument in tensors.program.arguments),
        *(Parameter(name, array_type(each), "schedule", True) for name, each in schedule.items()),
        *(Parameter(f"{name}_of", array_type(each), "array", True) for name, each in arrays.items()),
        *(
            [Parameter("map_batch_stride", "i32", "count")]
            if ir.mask_inputs and "records" in schedule
            else []
        ),
        Parameter("batch_heads", "i32", "count"),
        Parameter("heads_together", "i32", "count"),
        Parameter("owner_tiles", "i32", "count"),
        *(Parameter(f"{each.side}_tokens", "i32", "count") for each in tensors.sides.open),
    )


def array_type(array: NDArray[Any]) -> str:
    """Triton's type of a pointer to an array."""
    return _ARRAYS[np.dtype(array.dtype).name]


def strides(tensor: tile.Tensor) -> Iterator[Parameter]:
    """The strides of a tensor, in elements."""
    for name in STRIDES[: 4 if tensor.columns else 3]:
        yield Parameter(f"{tensor.name}_{name}_stride", "i64", "stride", aligned=name != "channel")


def element_type(tensor: tile.Tensor, dtype: str, output: bool) -> str:
    """The type of a tensor's elements: row vectors and slots are float32, and there are no 8-bit outputs."""
    if tensor.slotted or not tensor.columns:
        return "float32"
    return "bfloat16" if output and dtype.startswith("float8") else dtype


def _tensor_type(tensors: Tensors, tensor: tile.Tensor, dtype: str) -> str:
    element = ELEMENTS[element_type(tensor, dtype, tensor in tensors.program.outputs)]
    if tensor in tensors.boxes and tensor.columns:
        sizes = (1, *tensors.boxes[tensor].sizes, tensors.columns[tensor.columns])
        return f"tensordesc<{element}{list(sizes)}>"
    return f"*{element}"


def _inputs(ir: BoundIR) -> Iterator[Parameter]:
    for declared in ir.kernel_inputs:
        kind = {"int": "*i64", "real": "*fp64", "bool": "*i1"}[declared.kind]
        yield Parameter(f"{declared.name}_values", kind, "input", aligned=True)
        yield Parameter(f"{declared.name}_batch_stride", "i64", "input")
