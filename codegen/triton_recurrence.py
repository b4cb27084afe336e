"""Prints recurrences over chunks of tokens as Triton: one readable Python file per kernel.

A program of the grid owns one head and one block of value channels: columns of the state do not mix. It walks
through the head's chunks one after another, so that batch * heads * value blocks programs run at the same
time, whatever the length. Where that leaves a GPU idle, `segments` divide the tokens: each is walked by
programs of its own, from a state that the caller computes first (`states_only`) and passes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from attndsl import __version__
from attndsl.codegen import tile_ir as tile
from attndsl.codegen.recurrence import RECURRENCES, Decay
from attndsl.codegen.triton import PrintedKernel
from attndsl.codegen.triton_arguments import Parameter
from attndsl.codegen.triton_functions import functions_for
from attndsl.codegen.triton_layout import comment_lines, commented, indented, laid_out
from attndsl.codegen.triton_recurrence_configuration import RecurrenceConfiguration
from attndsl.codegen.triton_recurrence_fold import folded
from attndsl.codegen.triton_recurrence_states import states_only
from attndsl.codegen.triton_recurrence_tensors import ChunkTensors
from attndsl.codegen.triton_recurrence_values import ChunkValues, next_name, scanned_after
from attndsl.codegen.triton_tensors import padded_channels

COUNTS = ("heads", "group", "batches", "tokens", "segment_tokens")
"""Numbers that a call passes. group: query heads of a kv head. segment_tokens: of all segments but the last,
a multiple of the chunk."""


def print_recurrence(
    name: str,
    decay: Decay,
    head_dim: int,
    value_dim: int,
    dtype: str,
    configuration: RecurrenceConfiguration,
    states: bool = False,
) -> PrintedKernel:
    """The Triton kernel of a program of `codegen/recurrence.py`.

    dtype: of tokens, 'float32', 'bfloat16' or 'float16'. states: only what becomes of the state. The kernel's
    `owner_tiles` are blocks of value channels; its grid is (batch * heads * blocks, segments).
    """
    program = folded(RECURRENCES[name](decay, configuration.chunk))
    if states:
        program = states_only(program)
    kernel = _Kernel(program, {"head_dim": head_dim, "value_dim": value_dim}, dtype, configuration)
    body = list(indented(laid_out(kernel.lines())))
    counts = ", ".join(f'"{each}"' for each in COUNTS)
    head = [f"@triton.jit(\n    do_not_specialize=[{counts}]\n)", *_signature(program, kernel.parameters)]
    function = "\n".join([*head, *body])
    sections = [kernel.header(decay), *(text.rstrip() for text in functions_for(function)), function]
    return PrintedKernel(
        program=program,
        source="\n\n\n".join(sections).rstrip() + "\n",
        parameters=kernel.parameters,
        arrays={},
        configuration=configuration,
        owner_tiles=kernel.tensors.blocks,
        boxes={},
        exact_reals=False,
    )


class _Kernel:
    """The text of a kernel's body."""

    def __init__(
        self,
        program: tile.Program,
        sizes: dict[tile.Dimension, int],
        dtype: str,
        configuration: RecurrenceConfiguration,
    ) -> None:
        self.program = program
        self.configuration = configuration
        self.sizes = sizes
        self.dtype = dtype
        value_columns = min(configuration.value_block, padded_channels(sizes["value_dim"], dtype))
        columns: dict[tile.Dimension, int] = {
            "head_dim": padded_channels(sizes["head_dim"], dtype),
            "value_dim": value_columns,
        }
        self.tensors = ChunkTensors(program, sizes, columns, dtype)
        self.shifted = scanned_after(program.body)
        self.chunk = configuration.chunk
        lanes: dict[tile.Dimension, int] = {"q": self.chunk, "kv": self.chunk}
        self.values = ChunkValues(
            "q",
            {dimension: str(size) for dimension, size in (lanes | columns).items()},
            tensors=dtype,
            products=dtype,
            precision=configuration.precision if dtype == "float32" else "",
            load=self.tensors.load,
            term=lambda term: "",
            exact=self.tensors.exact,
        )

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Tensors, strides, numbers and counts, in order."""
        return (
            *self.tensors.parameters(),
            *(Parameter(each.name, "fp32", "number") for each in self.program.arguments),
            *(Parameter(name, "i32", "count") for name in COUNTS),
        )

    def header(self, decay: Decay) -> str:
        """The module's docstring and imports."""
        sizes, chosen = self.sizes, self.configuration
        text = (
            f"The {self.program.name} pass in {self.dtype} with head_dim {sizes['head_dim']} and value_dim "
            f"{sizes['value_dim']}; decay: {decay}.\n\nChunks of {self.chunk} tokens, "
            f"{self.tensors.columns['value_dim']} value channels in each program.\n"
            f"Printed by attndsl {__version__} for {chosen.warps} warps and {chosen.stages} stages."
        )
        return f'"""{text}\n"""\n\nimport triton\nimport triton.language as tl'

    def lines(self) -> Iterator[str]:
        """The statements of the kernel."""
        yield from self._place()
        yield from self.tensors.channel_lines()
        yield f"lane = tl.arange(0, {self.chunk})"
        yield "row, column = lane[:, None], lane[None, :]  # tokens of a pair"
        yield from self.tensors.place_lines()
        yield from self.tensors.state_lines()
        yield ""
        for statement in self.program.body:
            if isinstance(statement, tile.ForChunks):
                yield from self._for_chunks(statement)
            else:
                yield from self._statement(statement)

    def _place(self) -> Iterator[str]:
        """Which head, channels and tokens."""
        blocks = self.tensors.blocks
        yield "program = tl.program_id(0)"
        if blocks > 1:
            yield f"value_block = program % {blocks}"
        yield f"batch_head = program // {blocks}" if blocks > 1 else "batch_head = program"
        yield "batch = tl.cast(batch_head // heads, tl.int64)"
        yield "head = tl.cast(batch_head % heads, tl.int64)"
        yield "kv_head = head // group"
        if any(map(self.tensors.is_part, self.program.outputs)):
            yield "part = value_block * batches + batch"
        yield "segment = tl.program_id(1)"
        yield "begin = segment * segment_tokens"
        yield "end = tl.minimum(begin + segment_tokens, tokens)"

    def _for_chunks(self, loop: tile.ForChunks) -> Iterator[str]:
        chunk = self.chunk
        yield ""
        order = "The last chunk first" if loop.reverse else "One chunk after the other"
        yield from comment_lines(": ".join(filter(None, [order, loop.comment])))
        if loop.reverse:
            yield f"for turn in tl.range(0, tl.cdiv(end - begin, {chunk})):"
            first = f"begin + (tl.cdiv(end - begin, {chunk}) - 1 - turn) * {chunk}"
        else:
            yield f"for start in tl.range(begin, end, {chunk}):"
            first = "start"
        body = [f"token = tl.cast({first} + lane, tl.int64)", "exists = token < end"]
        if self.shifted:
            body += ["next_token = token + 1", f"next_exists = (lane < {chunk - 1}) & (next_token < end)"]
        for statement in loop.body:
            body += self._statement(statement)
        yield from indented(body)
        yield ""

    def _statement(self, statement: tile.Statement) -> Iterator[str]:
        match statement:
            case tile.Store(tensor, value):
                yield from commented(self.tensors.store(tensor, self.values.text(value)), statement.comment)
            case tile.Assign(name, value) if self.values.is_tile_of_tensor(value):
                self.values.stored.add(name)
                yield from commented(f"{name} = {self.values.stored_text(value)}", statement.comment)
            case tile.Assign(name, value):
                self.values.stored.discard(name)
                yield from self._assign(name, value, statement.comment)
                if name in self.shifted:
                    self.tensors.ahead = True
                    yield from self._assign(next_name(name), value, "of the tokens after these")
                    self.tensors.ahead = False
            case _:
                raise TypeError(f"no Triton for {type(statement).__name__} in a recurrence")

    def _assign(self, name: str, value: tile.Expression, comment: str) -> Iterator[str]:
        match value:
            case tile.Elementwise("mul", (tile.Load() as load, factor)):
                yield f"{name} = {self.values.text(load)}"
                yield from commented(f"{name} *= {self.values.text(factor)}", comment)
            case _:
                yield from commented(f"{name} = {self.values.text(value)}", comment)


def _signature(program: tile.Program, parameters: tuple[Parameter, ...]) -> Iterator[str]:
    yield f"def {program.name}("
    for role in dict.fromkeys(parameter.role for parameter in parameters):
        names = ", ".join(parameter.name for parameter in parameters if parameter.role == role)
        yield from textwrap.wrap(f"{names},", 104, initial_indent="    ", subsequent_indent="    ")
    yield "):"
