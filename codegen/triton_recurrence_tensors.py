"""Prints as Triton how kernels of recurrences read and write tensors, chunk by chunk.

Tensors of tokens come with strides; states are contiguous, [segments, batch, heads, head_dim, value_dim].
Places are computed anew for every chunk, as registers are scarce. What a program computes of its value
channels only, but has channels of keys or none, is written as one part per block of value channels: such a
tensor is [blocks * batch, heads, tokens, channels], and its parts are to be summed.
"""

from __future__ import annotations

from collections.abc import Iterator

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.forward import OUT, K, Q, V
from attndsl.codegen.recurrence import OUT_GRADIENT
from attndsl.codegen.triton_arguments import ELEMENTS, Parameter, strides


class ChunkTensors:
    """The text about the tensors of one program.

    sizes: head and value dimension as the tensors have them; columns: as tiles have them, of one block of
    value channels. blocks: of value channels. ahead: whether tokens are read one later, see `next_name`.
    """

    def __init__(
        self,
        program: tile.Program,
        sizes: dict[tile.Dimension, int],
        columns: dict[tile.Dimension, int],
        dtype: str,
    ) -> None:
        self.program = program
        self.sizes = sizes
        self.columns = columns
        self.dtype = dtype
        self.blocks = -(-sizes["value_dim"] // columns["value_dim"])
        self.ahead = False

    @property
    def all(self) -> tuple[tile.Tensor, ...]:
        """Inputs and outputs."""
        return (*self.program.inputs, *self.program.outputs)

    @property
    def exact(self) -> frozenset[tile.Tensor]:
        """Those that are float32 in any case: all but queries, keys, values, outputs and their gradient."""
        return frozenset(each for each in self.all if each not in (Q, K, V, OUT, OUT_GRADIENT))

    def is_part(self, tensor: tile.Tensor) -> bool:
        """Whether each block of value channels writes a part of an output, to be summed by the caller."""
        return self.blocks > 1 and tensor in self.program.outputs and tensor.columns != "value_dim"

    def parameters(self) -> Iterator[Parameter]:
        """Pointers, then strides."""
        for tensor in self.all:
            element = "float32" if tensor in self.exact else self.dtype
            yield Parameter(tensor.name, f"*{ELEMENTS[element]}", "tensor", aligned=True)
        for tensor in self.all:
            if not tensor.rows:
                yield from strides(tensor)

    def place_lines(self) -> Iterator[str]:
        """Pointers to the tensors of tokens at the head at work."""
        for tensor in self.all:
            if not tensor.rows:
                name, head = tensor.name, "head" if tensor.side == "q" else "kv_head"
                batch = "part" if self.is_part(tensor) else "batch"
                yield f"{name} += {batch} * {name}_batch_stride + {head} * {name}_head_stride"

    def channel_lines(self) -> Iterator[str]:
        """The numbers of the channels that tiles have."""
        yield f"channel = tl.arange(0, {self.columns['head_dim']})"
        first = f"value_block * {self.columns['value_dim']} + " if self.blocks > 1 else ""
        yield f"value_channel = {first}tl.arange(0, {self.columns['value_dim']})"

    def state_lines(self) -> Iterator[str]:
        """Pointers to the states of the segment and head at work, and the places of their numbers."""
        yield "state_place = channel[:, None] * {value_dim} + value_channel[None, :]".format(**self.sizes)
        size = self.sizes["head_dim"] * self.sizes["value_dim"]
        yield f"state_offset = (tl.cast(segment, tl.int64) * batches * heads + batch_head) * {size}"
        for tensor in self.all:
            if tensor.rows:
                yield f"{tensor.name} += state_offset"

    def load(self, tensor: tile.Tensor) -> str:
        """The rows of a tensor in the current chunk, or a state."""
        return f"tl.load({self._pointers(tensor)}{self._mask(tensor, ', other=0.0')})"

    def store(self, tensor: tile.Tensor, value: str) -> str:
        """The statement that writes them."""
        return f"tl.store({self._pointers(tensor)}, {value}{self._mask(tensor)})"

    def _pointers(self, tensor: tile.Tensor) -> str:
        name = tensor.name
        if tensor.rows:
            return f"{name} + state_place"
        token = "next_token" if self.ahead else "token"
        if not tensor.columns:
            return f"{name} + {token} * {name}_token_stride"
        channel = _channel(tensor.columns)
        return f"{name} + {token}[:, None] * {name}_token_stride + {channel}[None, :] * {name}_channel_stride"

    def _mask(self, tensor: tile.Tensor, other: str = "") -> str:
        tests = []
        if not tensor.rows:
            exists = "next_exists" if self.ahead else "exists"
            tests.append(f"{exists}[:, None]" if tensor.columns else exists)
        elif self.columns["head_dim"] > self.sizes["head_dim"]:
            tests.append(f"(channel[:, None] < {self.sizes['head_dim']})")
        if tensor.columns and self._columns_exceed(tensor.columns):
            tests.append(f"({_channel(tensor.columns)}[None, :] < {self.sizes[tensor.columns]})")
        return f", mask={' & '.join(tests)}{other}" if tests else ""

    def _columns_exceed(self, dimension: tile.Dimension) -> bool:
        blocks = self.blocks if dimension == "value_dim" else 1
        return blocks * self.columns[dimension] > self.sizes[dimension]


def _channel(dimension: tile.Dimension) -> str:
    return "channel" if dimension == "head_dim" else "value_channel"
