"""Prints tile IR as C++: one readable source file per kernel, over the tile runtime of `tile_runtime.h`.

A kernel packs every kv tile once and then runs each q tile over the kv tiles of its block map. Sizes of
tiles, head dimension, element type and residual predicates are in the text; tensors, block maps and token
lists come with the call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attndsl import __version__
from attndsl.codegen import tile_ir as tile
from attndsl.codegen.cpp_body import print_body, print_scratch, rows_of
from attndsl.codegen.cpp_loops import SIZES
from attndsl.codegen.cpp_visible import print_visible, wrap_comment
from attndsl.codegen.steps import Product, Step, Visit, split
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


def print_kernel(program: tile.Program, schedule: Schedule, head_dim: int, value_dim: int, dtype: str) -> str:
    """The C++ source of a program over a schedule. dtype: 'float32', 'bfloat16' or 'float16'."""
    steps = split(program)
    sections = [
        _header(program, schedule, head_dim, value_dim, dtype),
        *_predicates(schedule),
        "\n".join(_fill(len(schedule.residuals))),
        "\n".join(_packed(steps)),
        "\n".join(_pack(steps)),
        "\n".join(print_scratch(steps)),
        "\n".join(_run(program, steps)),
        _entry(program),
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


def _fill(residuals: int) -> Iterator[str]:
    yield "// Which pairs of a PARTIAL tile, or of one that the edge of the space cuts off, are visible."
    yield "void fill(Mask& visible, const Call& call, int16_t residual,"
    yield "          int64_t batch, int64_t head, int64_t q_tile, int64_t kv_tile) {"
    yield "    switch (residual) {"
    for number in range(1, residuals + 1):
        yield f"        case {number}: visible_{number}(visible, call, batch, head, q_tile, kv_tile); break;"
    yield "        default: show_all(visible);"
    yield "    }"
    yield "    hide_columns(visible, call.keys.counts[kv_tile]);"
    yield "}"


def _packed(steps: Sequence[Step]) -> Iterator[str]:
    yield "struct Packed {  // a kv tile in fast memory"
    for tensor, transposed in _right_factors(steps).items():
        columns = SIZES[tensor.columns]
        kind = f"KeyTile<Factor, {columns}, Tk>" if transposed else f"ValueTile<Factor, Tk, {columns}>"
        yield f"    {kind} {tensor.name};"
    yield "};"


def _pack(steps: Sequence[Step]) -> Iterator[str]:
    yield "void pack(const Call& call, Packed& packed, int64_t batch, int64_t head, int64_t kv_tile) {"
    for tensor, transposed in _right_factors(steps).items():
        gather = "gather_transposed" if transposed else "gather_rows"
        yield f"    {gather}(packed.{tensor.name}, {rows_of(tensor, 'const Element', 'kv_tile')});"
    yield "}"


def _run(program: tile.Program, steps: Sequence[Step]) -> Iterator[str]:
    yield "void run(const Call& call, const Packed* packed, Scratch& scratch, const BlockMap& map,"
    yield "         int64_t batch, int64_t head, int64_t q_tile) {"
    for number, argument in enumerate(program.arguments):
        yield f"    const float {argument.name} = call.arguments[{number}];"
    yield from ("    " + line for line in print_body(steps))
    yield "}"


def _entry(program: tile.Program) -> str:
    return f"""\
}}  // namespace

extern "C" int {entry_point(program)}(const attn::Call* call) {{
    return attn::for_each_q_tile<Factor, Packed, Scratch>(*call, pack, run);
}}"""


def _right_factors(steps: Sequence[Step]) -> dict[tile.Tensor, bool]:
    """The tensors that products of visited tiles read as right factors, and whether transposed."""
    visits = [step for step in steps if isinstance(step, Visit)]
    products = [step for visit in visits for step in visit.steps if isinstance(step, Product)]
    return {p.dot.right.tensor: p.dot.transpose_right for p in products if isinstance(p.dot.right, tile.Load)}
