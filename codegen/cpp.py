"""Prints tile IR as C++: one readable source file per kernel, over the tile runtime of `tile_runtime.h`.

A kernel packs every tile that may be visited once, and then runs each tile of its owner over those that the
block map names. Sizes of tiles, head dimension, element type and residual predicates are in the text;
tensors, block maps and token lists come with the call.
"""

from __future__ import annotations

from collections.abc import Iterator

from attndsl import __version__
from attndsl.codegen import tile_ir as tile
from attndsl.codegen.cpp_body import TILINGS, Body, declaration
from attndsl.codegen.cpp_loops import scalar
from attndsl.codegen.cpp_terms import print_term
from attndsl.codegen.cpp_tiles import rows_of
from attndsl.codegen.cpp_visible import print_visible, wrap_comment
from attndsl.codegen.steps import split
from attndsl.ir.text import bound_text
from attndsl.schedule.schedule import Schedule

ELEMENTS = {"float32": "float", "bfloat16": "bfloat16", "float16": "float16"}
LANES = 16
"""Tile sizes are rounded up to the widest vector, so that every loop over rows or columns runs over whole
vectors.
"""


def padded(count: int) -> int:
    """The least multiple of `LANES` that is at least `count`, and at least one vector."""
    return max(LANES, -(-count // LANES) * LANES)


def print_kernel(
    program: tile.Program, schedule: Schedule, head_dim: int, value_dim: int, dtype: str, listed: bool = False
) -> str:
    """The C++ source of a program over a schedule. dtype: 'float32', 'bfloat16' or 'float16'.

    listed: whether the call says which queries list which keys; PARTIAL tiles show only these pairs.
    """
    body = Body(program, split(program))
    sections = [
        _header(program, schedule, head_dim, value_dim, dtype),
        *(_predicates(schedule) if body.masks else []),
        *(["\n".join(_fill(len(schedule.residuals), body, listed))] if body.masks else []),
        *(print_term(schedule, number) for number in body.terms),
        "\n".join(_packed(body)),
        "\n".join(_pack(body)),
        "\n".join(body.scratch()),
        "\n".join(_run(program, body)),
        *(["\n".join(_finish(program, body))] if body.sums else []),
        _entry(program, "for_each_pair" if body.sums else "for_each_tile"),
    ]
    return "\n\n".join(sections) + "\n"


def entry_point(program: tile.Program) -> str:
    """The name of the function that runs the kernel."""
    return f"attndsl_{program.name}"


def _predicates(schedule: Schedule) -> Iterator[str]:
    for number, residual in enumerate(schedule.residuals, 1):
        yield print_visible(schedule.ir, number, residual, schedule.residual_regions[number - 1])


def _header(program: tile.Program, schedule: Schedule, head_dim: int, value_dim: int, dtype: str) -> str:
    q_tile, kv_tile = padded(schedule.q_tiling.capacity), padded(schedule.kv_tiling.capacity)
    tensors = ", ".join(tensor.name for tensor in program.inputs + program.outputs)
    pattern = "\n".join(line for part in bound_text(schedule.ir).splitlines() for line in wrap_comment(part))
    return f"""\
// The {program.name} pass in {dtype}, printed by attndsl {__version__}, of
{pattern}
#include "tile_runtime.h"

namespace {{
using namespace attn;

constexpr int Tq = {q_tile}, Tk = {kv_tile};  // tokens of a q tile and of a kv tile
constexpr int D = {head_dim}, Dv = {value_dim};  // channels of q and k, and of v
using Element = {ELEMENTS[dtype]};
using Factor = Operand<Element>;
using Mask = Visibility<Tq, Tk>;
enum {{ {tensors} }};  // places in call.tensors"""


def _fill(residuals: int, body: Body, listed: bool) -> Iterator[str]:
    yield "// Which pairs of a PARTIAL tile, or of one that the edge of the space cuts off, are visible."
    yield "void fill(Mask& visible, const Call& call, int16_t residual,"
    yield "          int64_t batch, int64_t head, int64_t q_tile, int64_t kv_tile) {"
    yield "    switch (residual) {"
    for number in range(1, residuals + 1):
        yield f"        case {number}: visible_{number}(visible, call, batch, head, q_tile, kv_tile); break;"
    yield "        default: show_all(visible);"
    yield "    }"
    if listed:
        yield "    hide_unlisted(visible, call.listed + kv_tile * Tq);"
    for side in body.hidden:
        hide = "hide_columns" if side == "kv" else "hide_rows"
        yield f"    {hide}(visible, call.{TILINGS[side]}.counts[{side}_tile]);"
    if body.sparse:
        yield "    find_spans<Factor>(visible);"
    yield "}"


def _packed(body: Body) -> Iterator[str]:
    yield f"struct Packed {{  // a {body.visited} tile in fast memory"
    yield from (f"    {buffer.declaration}" for buffer in body.buffers.visited)
    yield from (f"    {declaration(variable)}" for variable in body.sums)
    yield "};"


def _pack(body: Body) -> Iterator[str]:
    yield f"void pack(const Call& call, Packed& packed, {_place(body.visited)}) {{"
    yield from (f"    {buffer.gather('packed.')}" for buffer in body.buffers.visited)
    yield from (f"    clear(packed.{variable.name});" for variable in body.sums)
    yield "}"


def _finish(program: tile.Program, body: Body) -> Iterator[str]:
    """Writes what was added to a visited tile."""
    yield f"void finish(const Call& call, Packed& packed, {_place(body.visited)}) {{"
    yield from _arguments(program)
    for addition, variable in zip(body.additions, body.sums, strict=True):
        yield f"    multiply(packed.{variable.name}, {scalar(addition.factor)});"
        yield f"    store_rows({rows_of(addition.tensor, 'Element')}, packed.{variable.name});"
    yield "}"


def _run(program: tile.Program, body: Body) -> Iterator[str]:
    packed = "Packed* packed" if body.sums else "const Packed* packed"
    yield f"void run(const Call& call, {packed}, Scratch& scratch, {_place(program.owner)}) {{"
    yield from _arguments(program)
    yield from ("    " + line for line in body.lines())
    yield "}"


def _arguments(program: tile.Program) -> Iterator[str]:
    for number, argument in enumerate(program.arguments):
        yield f"    const float {argument.name} = call.arguments[{number}];"


def _place(side: tile.Side) -> str:
    """The parameters that name a tile of one side."""
    return f"int64_t batch, int64_t {'head' if side == 'q' else 'kv_head'}, int64_t {side}_tile"


def _entry(program: tile.Program, launcher: str) -> str:
    steps = "pack, run, finish" if launcher == "for_each_pair" else "pack, run"
    return f"""\
int run_all(const Call& call) {{
    return {launcher}<Side::{TILINGS[program.owner]}, Factor, Packed, Scratch>(call, {steps});
}}

}}  // namespace

extern "C" int {entry_point(program)}(const attn::Call* call) {{
    return run_all(*call);
}}"""
