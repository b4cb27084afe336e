"""Prints as Triton how a kernel reads and writes tensors: pointers and masks, or tensor descriptors.

Offsets of batches, heads and tokens are 64 bits wide. The places of a visited tile's lanes are added to the
pointers before the loop, so that each turn adds one number.
"""

from __future__ import annotations

from collections.abc import Iterator

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.triton_descriptors import TileBox
from attndsl.codegen.triton_tokens import Sides, power_of_two


def padded_channels(size: int, dtype: str) -> int:
    """The columns of a tile with `size` channels: a power of two, as matrix products need them."""
    return max(32 if dtype.startswith("float8") else 16, power_of_two(size))


class Tensors:
    """The text about the tensors of one program.

    sizes: head and value dimension as the tensors have them; columns: as tiles have them. heads: of each
    side. boxes: how the tensors are addressed that come as descriptors; others come as pointers and strides.
    members: whether one loop visits the tiles of several query heads; `member` then counts them from `head`.
    masked: whether the loop that is being printed visits tiles with lanes that do not exist. waiting: loads
    that must stand before the statement that is being printed.
    """

    def __init__(
        self,
        program: tile.Program,
        sides: Sides,
        sizes: dict[tile.Dimension, int],
        columns: dict[tile.Dimension, int],
        heads: dict[tile.Side, int],
        boxes: dict[tile.Tensor, TileBox],
    ) -> None:
        self.program = program
        self.sides = sides
        self.sizes = sizes
        self.columns = columns
        self.heads = heads
        self.boxes = boxes
        self.members = False
        self.masked = False
        self.waiting: list[str] = []
        self._loaded: dict[tile.Tensor, str] = {}

    @property
    def all(self) -> tuple[tile.Tensor, ...]:
        """Inputs and outputs."""
        return (*self.program.inputs, *self.program.outputs)

    def channel_lines(self) -> Iterator[str]:
        """The numbers of the channels."""
        for dimension in self._distinct():
            yield f"{_channel_name(dimension)} = tl.arange(0, {self.columns[dimension]})[None, :]"

    def head_lines(self, side: tile.Side) -> Iterator[str]:
        """Pointers to the tensors of one side at the head at work."""
        head = "head" if side == "q" else "kv_head"
        for tensor in self.all:
            name = tensor.name
            if tensor.side == side and tensor not in self.boxes:
                yield (
                    f"{name}_of_head = {name} + batch * {name}_batch_stride"
                    f" + tl.cast({head}, tl.int64) * {name}_head_stride"
                )

    def row_lines(self) -> Iterator[str]:
        """Pointers to the lanes of visited tiles, without the tile's own place."""
        if self._hoisted:
            for tensor in self.program.inputs:
                if tensor.side == self.sides.visited.side and tensor not in self.boxes:
                    yield f"{tensor.name}_rows = {self._pointers(tensor, 'inside')}"

    @property
    def _hoisted(self) -> bool:
        """Whether the places of a visited tile's lanes are added before the loop."""
        return self.sides.visited.loop_invariant and not self.sides.visited.places

    def load(self, tensor: tile.Tensor) -> str:
        """The rows of a tensor in the current tile; rows of visited tiles get a name."""
        if tensor.side == self.sides.owner:
            return self._read(tensor)
        if tensor not in self._loaded:
            self._loaded[tensor] = f"{tensor.name}_block"
            self.waiting.append(f"{tensor.name}_block = {self._read(tensor)}")
        return self._loaded[tensor]

    def store(self, tensor: tile.Tensor, value: str) -> str:
        """The statement that writes a value to the owner's rows."""
        return f"tl.store({self._pointers(tensor)}, {value}{self._mask(tensor, other=False)})"

    def start_loop(self, masked: bool) -> None:
        """Begin a loop over visited tiles, whose loads are new."""
        self.masked = masked
        self._loaded.clear()

    def _read(self, tensor: tile.Tensor) -> str:
        members = self.members and tensor.side == self.sides.visited.side
        if tensor in self.boxes and tensor.columns:
            head = "head" if tensor.side == "q" else "kv_head"
            member = " + member" if members else ""
            row = f"tl.cast(batch, tl.int32) * {self.heads[tensor.side]} + {head}{member}"
            place = ", ".join((row, *self.boxes[tensor].place, "0"))
            shape = f"{self.sides.of(tensor.side).lanes}, {self.columns[tensor.columns]}"
            return f"{tensor.name}.load([{place}]).reshape([{shape}])"
        if tensor.side == self.sides.visited.side and self._hoisted:
            place = f"{tensor.name}_rows + {tensor.side}_offset * {tensor.name}_token_stride"
        else:
            place = self._pointers(tensor)
        if members:
            place += f" + tl.cast(member, tl.int64) * {tensor.name}_head_stride"
        return f"tl.load({place}{self._mask(tensor, other=True)})"

    def _pointers(self, tensor: tile.Tensor, tokens: str = "token") -> str:
        name = tensor.name
        token = f"tl.cast({tensor.side}_{'place' if self._placed(tensor) else tokens}, tl.int64)"
        if not tensor.columns:
            return f"{name}_of_head + {token} * {name}_token_stride"
        channel = f"{self._channel(tensor.columns)} * {name}_channel_stride"
        return f"{name}_of_head + {token}[:, None] * {name}_token_stride + {channel}"

    def _placed(self, tensor: tile.Tensor) -> bool:
        """Whether an input of the kernel says where the rows are."""
        return bool(self.sides.of(tensor.side).places) and not tensor.slotted

    def _mask(self, tensor: tile.Tensor, other: bool) -> str:
        """The mask argument of a load or store: lanes and channels that exist."""
        tokens, tests = self.sides.of(tensor.side), []
        if tokens.cut and (tokens is self.sides.own or self.masked):
            tests.append(f"{tensor.side}_exists[:, None]" if tensor.columns else f"{tensor.side}_exists")
        if self._placed(tensor):
            tests.append(f"({tensor.side}_place{'[:, None]' if tensor.columns else ''} >= 0)")
        if tensor.columns and self.columns[tensor.columns] > self.sizes[tensor.columns]:
            tests.append(f"({self._channel(tensor.columns)} < {self.sizes[tensor.columns]})")
        return f", mask={' & '.join(tests)}{', other=0.0' if other else ''}" if tests else ""

    def _distinct(self) -> dict[tile.Dimension, int]:
        """The dimensions of channels in use; one that is as long as another shares its name."""
        used = dict.fromkeys(tensor.columns for tensor in self.all if tensor.columns)
        sizes = {dimension: self.sizes[dimension] for dimension in used}
        return dict(list(sizes.items())[:1]) if len(set(sizes.values())) == 1 else sizes

    def _channel(self, dimension: tile.Dimension) -> str:
        known = self._distinct()
        return _channel_name(dimension if dimension in known else next(iter(known)))


def _channel_name(dimension: tile.Dimension) -> str:
    return "channel" if dimension == "head_dim" else "value_channel"
