"""Prints chunked recurrences as C++: one kernel walks the chunks of each head, with its state in fast memory.

All products are of float32, whatever the tensors hold: decays over many tokens leave no room for rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from attndsl import __version__
from attndsl.codegen import tile_ir as tile
from attndsl.codegen.cpp import ELEMENTS, entry_point
from attndsl.codegen.cpp_body import declaration, shared_buffers
from attndsl.codegen.cpp_loops import print_row_loop, scalar
from attndsl.codegen.cpp_tiles import SIZES, Buffer, Buffers, rows_of
from attndsl.codegen.recurrence import Decay
from attndsl.codegen.steps import (
    Chunks,
    Gather,
    LoadState,
    Product,
    RowLoop,
    Scatter,
    Step,
    Sweep,
    inner_steps,
    reads,
    split,
    targets,
)

ROUNDED = frozenset({"q", "k", "v", "out", "out_gradient"})
"""Tensors of the kernel's element type; all others are float32."""

WHOLE = 16
"""Head and value dimensions are multiples of the widest vector, so that states have no incomplete ones."""

CHUNKS: dict[Decay, int] = {"none": 32, "token": 32, "channel": 16}
"""Tokens per chunk, the fastest of those tried."""


def whole(channels: int) -> int:
    """The least number of channels that fills vectors."""
    return -(-channels // WHOLE) * WHOLE


def print_recurrence(program: tile.Program, chunk: int, head_dim: int, value_dim: int, dtype: str) -> str:
    """The C++ source of a program. chunk: the one that the program was made for, a multiple of `WHOLE`.

    dtype: 'float32', 'bfloat16' or 'float16'.
    """
    body = _Body(split(program))
    sections = [
        _header(program, chunk, head_dim, value_dim, dtype),
        "\n".join(body.scratch()),
        "\n".join(_run(program, body)),
        _entry(program),
    ]
    return "\n\n".join(sections) + "\n"


def _header(program: tile.Program, chunk: int, head_dim: int, value_dim: int, dtype: str) -> str:
    tensors = ", ".join(tensor.name for tensor in program.inputs + program.outputs)
    return f"""\
// {program.name} in {dtype}, printed by attndsl {__version__}: linear attention with decay, chunk by chunk.
#include "tile_runtime.h"
#include "runtime_chunks.h"

namespace {{
using namespace attn;

constexpr int Tq = {chunk}, Tk = {chunk};  // tokens of a chunk, as queries and as keys
constexpr int D = {head_dim}, Dv = {value_dim};  // channels of q and k, and of v
using Element = {ELEMENTS[dtype]};
using Factor = float;
enum {{ {tensors} }};  // places in call.tensors"""


def _run(program: tile.Program, body: _Body) -> Iterator[str]:
    yield "void run(const Call& call, Scratch& scratch, int64_t batch, int64_t head) {"
    yield "    const int64_t kv_head = head / (call.heads / call.kv_heads);"
    for number, argument in enumerate(program.arguments):
        yield f"    const float {argument.name} = call.arguments[{number}];"
    yield from ("    " + line for line in body.lines())
    yield "}"


def _entry(program: tile.Program) -> str:
    return f"""\
}}  // namespace

extern "C" int {entry_point(program)}(const attn::Call* call) {{
    return attn::for_each_head<Scratch>(*call, run);
}}"""


class _Body:
    """The text of a program's steps for one head."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.flat = list(inner_steps(steps))
        self.buffers = Buffers(steps, float32=True)
        self.shared = shared_buffers(steps)
        gathered = {step.target for step in self.flat if isinstance(step, Gather)}
        self.variables = [
            each
            for each in dict.fromkeys(targets(steps))
            if each.name not in gathered | self.shared.keys() and each.shape != tile.SCALAR
        ]

    def scratch(self) -> Iterator[str]:
        """The struct of all variables: what one thread works on. Large tiles would not fit on its stack."""
        yield "struct Scratch {  // the variables of one thread"
        yield from (f"    {buffer.declaration}" for buffer in self.buffers.own)
        yield from (f"    {declaration(variable)}" for variable in self.variables)
        yield from (f"    {_declare_transposed(value)}" for value in self._transposed())
        yield "};"

    def lines(self) -> Iterator[str]:
        """The steps, after names for the scratch variables."""
        names = [*(buffer.name for buffer in self.buffers.own), *(each.name for each in self.variables)]
        names += [f"{each.name}_transposed" for each in self._transposed()]
        yield f"auto& [{', '.join(names)}] = scratch;"
        yield from (f"auto& {name} = {owner};" for name, owner in self.shared.items())
        for step in self.steps:
            yield from self._step(step)

    def _step(self, step: Step) -> Iterator[str]:
        match step:
            case LoadState(target, tensor):
                yield f"load_state({target.name}, call.tensors[{tensor.name}], batch, head);"
            case Scatter(tensor, source) if tensor.rows:
                yield f"store_state({source.name}, call.tensors[{tensor.name}], batch, head);"
            case Scatter(tensor, source):
                function = "store_rows" if tensor.columns else "store_column"
                yield f"{function}({rows_of(tensor, _element(tensor))}, {source.name});"
            case Sweep():
                yield _sweep(step)
            case Product():
                yield from self._product(step)
            case RowLoop(assignments) if assignments[0].value.shape == tile.SCALAR:
                yield from (f"const float {s.name} = {scalar(s.value)};" for s in assignments)
            case RowLoop():
                kept = set().union(*(reads(other) for other in self.flat if other is not step))
                yield from print_row_loop(step, kept)
            case Chunks():
                yield from self._chunks(step)

    def _chunks(self, step: Chunks) -> Iterator[str]:
        number = "call.queries.tiles - 1 - turn" if step.reverse else "turn"
        sign = "-" if step.reverse else "+"
        yield f"// {step.comment or 'every chunk'}"
        yield "for (int64_t turn = 0; turn < call.queries.tiles; ++turn) {"
        yield f"    const int64_t q_tile = {number}, kv_tile = q_tile;"
        yield f"    const int64_t next = turn + 1 < call.queries.tiles ? q_tile {sign} 1 : q_tile;"
        yield from (f"    {_gather(buffer)}" for buffer in self.buffers.own)
        ahead = self._fetch_ahead()
        for inner in step.steps:
            if isinstance(inner, Product):
                yield from (f"    {line}" for line in islice(ahead, 1))
            yield from ("    " + line for line in self._step(inner))
        yield "}"

    def _fetch_ahead(self) -> Iterator[str]:
        """Asks for the next chunk of one tensor after the other, while products of this one are computed."""
        for tensor in dict.fromkeys(buffer.tensor for buffer in self.buffers.own if buffer.tensor.columns):
            rows = rows_of(tensor, f"const {_element(tensor)}").replace(f"{tensor.side}_tile", "next")
            yield f"fetch_ahead<{SIZES[tensor.columns]}>({rows});"

    def _product(self, step: Product) -> Iterator[str]:
        dot = step.dot
        left, right = self.buffers.left(dot.left), self.buffers.right(dot.right, dot.transpose_right)
        if dot in self._by_rows():
            yield f"transpose_tile({right}_transposed, {right});"
            right = f"{right}_transposed"
        function = f"dot{'_transposed' * dot.transpose_left}{'_accumulate' * step.accumulates}"
        yield f"{function}({step.target.name}, {left}, {right});"

    def _by_rows(self) -> list[tile.Dot]:
        """The products whose right factor is computed by rows and wanted by columns."""
        dots = [step.dot for step in self.flat if isinstance(step, Product) and step.dot.transpose_right]
        gathered = {step.target for step in self.flat if isinstance(step, Gather)}
        return [dot for dot in dots if not {each.name for each in _right(dot)} & gathered]

    def _transposed(self) -> list[tile.Variable]:
        return list(dict.fromkeys(each for dot in self._by_rows() for each in _right(dot)))


def _right(dot: tile.Dot) -> list[tile.Variable]:
    return [dot.right] if isinstance(dot.right, tile.Variable) else []


def _declare_transposed(value: tile.Variable) -> str:
    rows, columns = SIZES[value.shape.rows], SIZES[value.shape.columns]
    return f"Tile<float, {columns}, {rows}> {value.name}_transposed;"


def _element(tensor: tile.Tensor) -> str:
    return "Element" if tensor.name in ROUNDED else "float"


def _gather(buffer: Buffer) -> str:
    functions = {"transposed": "gather_transposed", "column": "gather_column"}
    rows = rows_of(buffer.tensor, f"const {_element(buffer.tensor)}")
    return f"{functions.get(buffer.form, 'gather_rows')}({buffer.name}, {rows});"


def _sweep(step: Sweep) -> str:
    target, source = step.target, step.source.name
    if step.kind != "total":
        block = step.block or SIZES[target.shape.rows]
        return f"sum_{step.kind}<{block}>({target.name}, {source});"
    if target.shape == tile.SCALAR:
        return f"const float {target.name} = total({source});"
    return f"total({target.name}, {source});"
