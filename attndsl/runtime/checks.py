"""What callers may get wrong about tensors: each mistake is one error with its cause and its fix.

The codes are A0601 to A0615, and A0626 to A0628.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR, InputDeclaration, input_sizes
from attndsl.ir.expr import Const, Expr, HeadDim
from attndsl.passes.simplify import ImpossibleValueError, simplify, substitute

SUPPORTED = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
EIGHT_BIT = torch.float8_e4m3fn
"""A type of inputs for Triton kernels of the forward pass, see `compile_attention`."""

INPUT_TYPES = {"int": torch.int64, "real": torch.float64, "bool": torch.bool}


def check_tensors(ir: BoundIR, q: Any, k: Any, v: Any) -> None:
    """Refuse tensors whose shape, type or device does not fit the pattern or one another."""
    check_kinds(q, k, v)
    _check_shapes(ir, q.shape, k.shape, v.shape)
    for name, tensor in (("k", k), ("v", v)):
        if tensor.dtype != q.dtype:
            raise AttnCallError(
                "A0607", f"q is {_name(q.dtype)} and {name} is {_name(tensor.dtype)}",
                help=f"convert them to one type, as {name}.to(q.dtype)",
            )  # fmt: skip
        if tensor.device != q.device:
            raise AttnCallError(
                "A0609", f"q is on {q.device} and {name} is on {tensor.device}",
                help=f"move them to one device, as {name}.to(q.device)",
            )  # fmt: skip


def check_kinds(q: Any, k: Any, v: Any) -> None:
    """Refuse what no pattern attends to."""
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        _check_kind(name, tensor)


def _check_kind(name: str, tensor: Any) -> None:
    if not isinstance(tensor, torch.Tensor):
        raise AttnCallError(
            "A0601", f"{name} must be a torch tensor, {type(tensor).__name__} given",
            help=f"torch.as_tensor({name}) converts arrays",
        )  # fmt: skip
    if tensor.ndim != 4:
        raise AttnCallError(
            "A0602", f"{name} must be [batch, heads, tokens, head_dim], its shape is {_shape(tensor)}",
            help="add missing dimensions with unsqueeze, or split heads with unflatten and transpose",
        )  # fmt: skip
    if tensor.layout is not torch.strided or (name == "q" and tensor.device.type == "meta"):
        raise AttnCallError(
            "A0627", f"{name} has no dense data: its layout is {_name(tensor.layout)}, on {tensor.device}",
            help="pass dense tensors, as .to_dense() makes them",
        )  # fmt: skip
    if tensor.dtype not in SUPPORTED and tensor.dtype != EIGHT_BIT:
        raise AttnCallError(
            "A0608", f"{name} is {_name(tensor.dtype)}, which attention is not computed in",
            help=f"use one of {', '.join(map(_name, SUPPORTED))}",
        )  # fmt: skip


def _check_shapes(ir: BoundIR, q: torch.Size, k: torch.Size, v: torch.Size) -> None:
    queries, keys = ir.query_space.size, ir.key_space.size
    for name, shape in (("k", k), ("v", v)):
        if shape[0] != q[0]:
            raise AttnCallError(
                "A0603", f"q has batch size {q[0]} and {name} has {shape[0]}",
                help=f"give both the same batch size, as {name}.expand({q[0]}, -1, -1, -1)",
            )  # fmt: skip
    _check_size("A0604", "q", "heads", q[1], ir.heads, "bind the pattern with heads={0}")
    for name, shape in (("k", k), ("v", v)):
        _check_size("A0604", name, "heads", shape[1], ir.kv_heads, "bind the pattern with kv_heads={0}")
    _check_size("A0605", "q", "tokens", q[2], queries, _SPACE_HELP)
    for name, shape in (("k", k), ("v", v)):
        _check_size("A0605", name, "tokens", shape[2], keys, _SPACE_HELP)
    if q[3] != k[3]:
        raise AttnCallError(
            "A0606",
            f"q has head_dim {q[3]} and k has {k[3]}",
            help="q and k need the same size in dimension 3",
        )
    for name, shape in (("q", q), ("v", v)):
        if not shape[3]:
            raise AttnCallError(
                "A0606", f"{name} has head_dim 0", help="the head dimension must be at least 1"
            )


_SPACE_HELP = (
    "bind the pattern with a shape of {0} tokens, or pass the tokens of the bound shape in row-major order"
)


def _check_size(code: str, name: str, what: str, found: int, wanted: int, fix: str) -> None:
    if found != wanted:
        raise AttnCallError(
            code, f"{name} has {found} {what}, the pattern is bound to {wanted}", help=fix.format(found)
        )


def scale_of(ir: BoundIR, scale: Any, head_dim: int) -> float:
    """The factor of q k^T: as given, else the pattern's, else head_dim**-0.5."""
    if scale is None and ir.weighting.scale is not None:
        return _own_scale(ir.name, ir.weighting.scale, head_dim)
    return check_scale(scale, head_dim)


def _own_scale(name: str, scale: Expr, head_dim: int) -> float:
    """The factor of the pattern of this name, for graphs a number. Raises AttnCallError A0628."""
    try:
        known = simplify(substitute(scale, {HeadDim(): Const(head_dim)}))
    except ImpossibleValueError as error:
        raise AttnCallError(
            "A0628", f"the scale of `{name}` has no value for head_dim {head_dim}: {error}",
            help="pass scale=, or tensors with another head_dim",
        ) from None  # fmt: skip
    return float(cast(Const, known).value)


_own_scale._dynamo_marked_constant = True  # type: ignore[attr-defined]  # its decorator would import the compiler


def check_scale(scale: Any, head_dim: int) -> float:
    """The factor of q k^T: head_dim**-0.5 unless given."""
    if scale is None:
        return float(head_dim**-0.5)
    if torch.compiler.is_compiling():  # the kernel checks it; a length of the graph may stand in it
        return float(scale)
    try:
        factor = float(scale)
    except (TypeError, ValueError):
        factor = math.nan
    if not math.isfinite(factor):
        raise AttnCallError(
            "A0613", f"scale must be a finite number, {scale!r} given", help="leave it out for head_dim**-0.5"
        )
    return factor


def check_kernel_inputs(ir: BoundIR, inputs: Mapping[str, Any], batch: int) -> dict[str, torch.Tensor]:
    """The inputs that kernels read, in order, contiguous and without gradients."""
    read = {each.name: inputs[each.name] for each in ir.kernel_inputs if each.name in inputs}
    unknown = {name: value for name, value in inputs.items() if name not in read}
    checked = check_inputs(replace(ir, inputs=ir.kernel_inputs), {**read, **unknown}, batch)
    return {name: value.detach().contiguous() for name, value in checked.items()}


def check_inputs(
    ir: BoundIR, inputs: Mapping[str, Any], batch: int, dim: int = 0, key_dim: int = 0
) -> dict[str, torch.Tensor]:
    """The declared inputs, in order, as tensors of int64, float64 or bool, with gradients.

    Each is as declared, or has a batch dimension before that. dim: the channels of values. key_dim: those of
    queries and keys, which decays and routes run over.
    """
    known = ", ".join(each.name for each in ir.inputs) or "none"
    for name in inputs:
        if all(each.name != name for each in ir.inputs):
            raise AttnCallError(
                "A0610", f"pattern `{ir.name}` has no input `{name}`", help=f"its inputs: {known}"
            )
    dims = {each.name: dim for each in ir.inputs} | dict.fromkeys(ir.inputs_of_keys, key_dim)
    return {
        each.name: _check_input(ir, each, inputs.get(each.name), batch, dims[each.name]) for each in ir.inputs
    }


def _check_input(ir: BoundIR, declared: InputDeclaration, value: Any, batch: int, dim: int) -> torch.Tensor:
    name = declared.name
    if value is None:
        raise AttnCallError("A0611", f"pattern `{ir.name}` needs the input `{name}`", help=f"pass {name}=")
    tensor = input_tensor(name, value)
    sizes = input_sizes(ir, name, dim)
    if not _has_sizes(tensor.shape, sizes) and not _has_sizes(tensor.shape, (batch, *sizes)):
        wanted = ", ".join(map(str, (size or each for size, each in zip(sizes, declared.shape, strict=True))))
        raise AttnCallError(
            "A0612",
            f"input `{name}` must be ({wanted}{',' * (len(sizes) == 1)}) or ({batch}, {wanted}),"
            f" {_shape(tensor)} given",
            help=_INPUT_HELP if declared.shape in _PER_TOKEN else f"its dimensions: {_dimensions(declared)}",
        )
    if not _fits(tensor.dtype, declared.kind):
        raise AttnCallError(
            "A0614", f"input `{name}` holds {declared.kind} values, {_name(tensor.dtype)} given",
            help=f"convert it with .to(torch.{_name(INPUT_TYPES[declared.kind])})",
        )  # fmt: skip
    return tensor.to(INPUT_TYPES[declared.kind])


def input_tensor(name: str, value: Any) -> torch.Tensor:
    """A value as a tensor. Raises AttnCallError A0626 for what is none, and for tensors not dense."""
    try:
        tensor = torch.as_tensor(np.asarray(value) if isinstance(value, (list, tuple)) else value)
    except (TypeError, ValueError, RuntimeError):
        tensor = None
    if tensor is None or tensor.device.type == "meta" or tensor.layout is not torch.strided:
        kind = "a tensor without dense data" if tensor is not None else f"{type(value).__name__}"
        raise AttnCallError(
            "A0626", f"input `{name}` must be a tensor or an array of numbers, {kind} given",
            help="pass a dense tensor, or an array or nested list whose rows are equally long",
        )  # fmt: skip
    return tensor


_PER_TOKEN = (("tokens",), ("query",), ("key",))
_INPUT_HELP = "one value per token, in the order of the flattened space"


def _dimensions(declared: InputDeclaration) -> str:
    return ", ".join(map(str, declared.shape))


def _has_sizes(shape: torch.Size, sizes: tuple[int, ...]) -> bool:
    """Whether a shape is as declared; 0 is a size of the caller's choice."""
    pairs = zip(shape, sizes, strict=False)
    return len(shape) == len(sizes) and all(found == size or (not size and found) for found, size in pairs)


def _fits(dtype: torch.dtype, kind: str) -> bool:
    if kind == "bool" or dtype == torch.bool:
        return kind == "bool" and dtype == torch.bool
    return not dtype.is_complex and (kind == "real" or not dtype.is_floating_point)


def output_type(dtype: torch.dtype) -> torch.dtype:
    """The type of outputs for tensors of a type."""
    return torch.bfloat16 if dtype == EIGHT_BIT else dtype


def wide_type(dtype: torch.dtype) -> torch.dtype:
    """The type of sums and log-sum-exps for tensors of a type: at least float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _shape(tensor: torch.Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _name(dtype: torch.dtype | torch.layout) -> str:
    return str(dtype).removeprefix("torch.")
