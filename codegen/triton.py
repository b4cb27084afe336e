"""Prints tile IR as Triton: one readable Python file per kernel, which needs Triton only.

Tile sizes, extents, channels and masks are in the text; tensors, their strides and the block map come with
the call. `print_kernel` returns the text together with what a caller needs to know about it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl import __version__
from attndsl.codegen import tile_ir as tile
from attndsl.codegen.triton_arguments import Parameter, parameters
from attndsl.codegen.triton_configuration import Configuration
from attndsl.codegen.triton_descriptors import TileBox
from attndsl.codegen.triton_functions import functions_for
from attndsl.codegen.triton_kernel import Kernel
from attndsl.codegen.triton_layout import indented, laid_out
from attndsl.codegen.triton_scale import fold_scale
from attndsl.codegen.triton_tensors import Tensors
from attndsl.codegen.triton_tokens import lanes_of
from attndsl.codegen.triton_visits import Form, Visits, visits
from attndsl.ir.text import bound_text
from attndsl.schedule.schedule import Schedule

Array = NDArray[Any]
NOWHERE: Mapping[tile.Side, str] = {}


@dataclass(frozen=True)
class PrintedKernel:
    """A kernel's file, and how to call the function in it.

    arrays: what the parameters of the schedule and of the mask are called with, by name. owner_tiles: the
    number of tiles that programs own in each head. boxes: how the tensors that are passed as descriptors are
    described, and the channels of a tile. exact_reals: whether the mask computes with reals, so that
    products and sums must not be fused.
    """

    program: tile.Program
    source: str
    parameters: tuple[Parameter, ...]
    arrays: dict[str, Array]
    configuration: Configuration
    owner_tiles: int
    boxes: dict[str, tuple[TileBox, int]]
    exact_reals: bool


def print_kernel(
    program: tile.Program,
    schedule: Schedule,
    head_dim: int,
    value_dim: int,
    dtype: str,
    configuration: Configuration,
    places: Mapping[tile.Side, str] = NOWHERE,
) -> PrintedKernel:
    """The Triton kernel of a program over a schedule, whose function is called like the program.

    dtype: 'float32', 'bfloat16', 'float16' or 'float8_e4m3fn'. Neither space may be empty. places: for sides
    whose tiles hold tokens from anywhere, the declared input that says where in memory each is; slotted
    tensors lie in the order of tiles all the same.
    """
    program = fold_scale(program)
    visited = visits_of(program, schedule)
    sizes: dict[tile.Dimension, int] = {"head_dim": head_dim, "value_dim": value_dim}
    kernel = Kernel(program, schedule, sizes, dtype, configuration, visited, places)
    body = list(indented(laid_out(kernel.lines())))
    arrays = _schedule_arrays(program, schedule, visited)
    signature = parameters(kernel.tensors, schedule.ir, dtype, arrays, kernel.arrays, kernel.reads_inputs)
    counts = ", ".join(f'"{each.name}"' for each in signature if each.role == "count")
    decorator = f"@triton.jit(\n    do_not_specialize=[{counts}]\n)"  # one kernel for all sizes of a batch
    function = "\n".join([decorator, *_signature(program.name, signature), *body])
    header = _header(program, schedule, sizes, dtype, configuration)
    sections = [header, *(text.rstrip() for text in functions_for(function)), function]
    return PrintedKernel(
        program,
        "\n\n\n".join(sections).rstrip() + "\n",
        signature,
        arrays | {f"{name}_of": each for name, each in kernel.arrays.items()},
        configuration,
        kernel.sides.own.tiling.tiles,
        _boxes(kernel.tensors),
        kernel.exact_reals,
    )


def visits_of(program: tile.Program, schedule: Schedule, form: Form | None = None) -> Visits:
    """The block maps as the program's kernel reads them.

    form: the smallest that fits if left out. Where masks depend on inputs it is a list, which is refined at
    the call; tiles that are PARTIAL now may then be FULL, or FULL but for the edge of the space.
    """
    q, kv = schedule.q_tiling, schedule.kv_tiling
    owner, other = (q, kv) if program.owner == "q" else (kv, q)
    maps = schedule.maps if program.owner == "q" else tuple(each.transpose() for each in schedule.maps)
    edge = len(schedule.residuals) + 1
    lanes = lanes_of(other)
    if not schedule.ir.mask_inputs:
        return visits(maps, owner.counts, other.counts, lanes, edge, form)
    found = visits(maps, owner.counts, other.counts, lanes, edge, "list")
    cut = {edge} if (other.counts < lanes).any() else set()
    return replace(found, full=True, residuals=tuple(sorted({*found.residuals, *cut})))


def _schedule_arrays(program: tile.Program, schedule: Schedule, visited: Visits) -> dict[str, Array]:
    """What the kernel reads of the schedule, by the name of its parameter."""
    arrays: dict[str, Array] = {"order": visited.order}
    if any(isinstance(statement, tile.ForVisited | tile.ForHeads) for statement in program.body):
        arrays["records"] = visited.records
        if visited.form == "list":
            arrays["tiles"] = visited.tiles
    if len(visited.records) > 1:
        arrays["map_of_head"] = schedule.map_of_head.astype(np.int32)
    return arrays


def _boxes(tensors: Tensors) -> dict[str, tuple[TileBox, int]]:
    found = ((tensor, box) for tensor, box in tensors.boxes.items() if tensor.columns)
    return {tensor.name: (box, tensors.columns[tensor.columns]) for tensor, box in found if tensor.columns}


def _header(
    program: tile.Program,
    schedule: Schedule,
    sizes: dict[tile.Dimension, int],
    dtype: str,
    chosen: Configuration,
) -> str:
    shape = f"head_dim {sizes['head_dim']} and value_dim {sizes['value_dim']}"
    head = f"The {program.name} pass in {dtype} with {shape}, of"
    pattern = [part for line in bound_text(schedule.ir).splitlines() for part in _wrapped(line)]
    how = f"Printed by attndsl {__version__} for {chosen.warps} warps and {chosen.stages} stages."
    text = "\n".join([head, "", *pattern, "", how])
    return f'"""{text}\n"""\n\nimport triton\nimport triton.language as tl'


def _wrapped(line: str) -> Iterator[str]:
    yield from textwrap.wrap(line, 104, subsequent_indent="        ", break_long_words=False)


def _signature(name: str, signature: Sequence[Parameter]) -> Iterator[str]:
    yield f"def {name}("
    for role in dict.fromkeys(parameter.role for parameter in signature):
        names = ", ".join(parameter.name for parameter in signature if parameter.role == role)
        yield from textwrap.wrap(f"{names},", 104, initial_indent="    ", subsequent_indent="    ")
    yield "):"
