"""Runs the tile IR of chunked recurrences in NumPy: the oracle of their printers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.interpret import Interpreter

Array = NDArray[Any]


def interpret_recurrence(
    program: tile.Program,
    chunk: int,
    tensors: Mapping[str, Array],
    arguments: Mapping[str, float],
    dtype: Any = np.float64,
) -> dict[str, Array]:
    """The outputs of a program by name, computed in `dtype`.

    chunk: tokens per chunk, the one that the program was made for. tensors: the inputs by name,
    [batch, heads or kv heads, tokens, channels], steps of the decay [batch, heads, tokens] or with channels,
    states [batch, heads, head_dim, value_dim].
    """
    sizes = {each.columns: tensors[each.name].shape[-1] for each in program.inputs if each.columns}
    batches, heads, tokens = tensors["q"].shape[:3]
    extents: dict[Any, int] = sizes | {"q": tokens, "kv": tokens}
    outputs = {}
    for each in program.outputs:
        channels = [sizes[each.columns]] if each.columns else []
        shape = [batches, heads, extents[each.rows or each.side], *channels]
        outputs[each.name] = np.full(shape, np.nan, dtype)
    for batch in range(batches):
        own = {name: value[batch] for name, value in (*tensors.items(), *outputs.items())}
        for head in range(heads):
            _Head(program, cast(Any, None), own, {}, arguments, sizes, dtype, head, chunk=chunk).run()
    return outputs


@dataclass
class _Head(Interpreter):
    """A program on one head; it has no schedule."""

    chunk: int = 1

    def run(self) -> None:
        """All chunks."""
        self._run(self.program.body, 0)

    def _run(self, statements: tuple[tile.Statement, ...], owner: int) -> None:
        for statement in statements:
            if isinstance(statement, tile.ForChunks):
                self._run_chunks(statement)
            else:
                super()._run((statement,), owner)

    def _run_chunks(self, loop: tile.ForChunks) -> None:
        tokens = np.arange(self.tensors["q"].shape[1])
        chunks = [tokens[first : first + self.chunk] for first in range(0, len(tokens), self.chunk)]
        for chunk in reversed(chunks) if loop.reverse else chunks:
            self.tokens = {"q": chunk, "kv": chunk}
            self._run(loop.body, 0)

    def _head_of(self, tensor: tile.Tensor) -> Array:
        group = len(self.tensors["q"]) // len(self.tensors["k"])
        head: Array = self.tensors[tensor.name][self.head if tensor.side == "q" else self.head // group]
        return head
