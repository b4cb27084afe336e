"""Runs tile IR in NumPy, tile by tile over a schedule: the oracle of the printers.

It executes what a kernel executes (block map, residual predicates, running maxima), so that comparing it with
the denotation tests schedule and algorithm, and comparing a printed kernel with it tests the printer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import singledispatchmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.elementwise import ELEMENTWISE, TRUTHS
from attndsl.ir.bound import Space, input_sizes
from attndsl.ir.evaluate import coordinates, evaluate
from attndsl.ir.expr import Expr, Head, InputAt, InputElement, Position
from attndsl.schedule.block_map import BlockMap
from attndsl.schedule.schedule import Schedule

Array = NDArray[Any]
Sizes = Mapping[tile.Dimension, int]


def interpret(
    program: tile.Program,
    schedule: Schedule,
    tensors: Mapping[str, Array],
    arguments: Mapping[str, float],
    inputs: Mapping[str, Array] | None = None,
    dtype: Any = np.float64,
) -> dict[str, Array]:
    """The outputs of a program by name, computed in `dtype`.

    tensors: the program's inputs, [batch, heads or kv heads, tokens, channels]. inputs: the pattern's
    declared inputs, [tokens] or [batch, tokens].
    """
    batches = len(tensors[program.inputs[0].name])
    sizes = {each.columns: tensors[each.name].shape[-1] for each in program.inputs if each.columns}
    sums = {statement.tensor for statement in tile.additions(program.body)}
    outputs = {each.name: _allocate(each, schedule, batches, sizes, dtype) for each in program.outputs}
    for tensor in sums:
        outputs[tensor.name][:] = 0.0
    for batch in range(batches):
        rows = {name: _of_batch(schedule, name, value, batch) for name, value in (inputs or {}).items()}
        refined = schedule.refine(rows) if schedule.ir.mask_inputs else schedule
        own = {name: value[batch] for name, value in (*tensors.items(), *outputs.items())}
        Interpreter(program, refined, own, rows, arguments, sizes, dtype).run()
    return outputs


def _of_batch(schedule: Schedule, name: str, value: Array, batch: int) -> Array:
    batched = value.ndim > len(input_sizes(schedule.ir, name))
    return np.asarray(value[batch] if batched else value)


def _allocate(tensor: tile.Tensor, schedule: Schedule, batches: int, sizes: Sizes, dtype: Any) -> Array:
    ir = schedule.ir
    heads, tokens = (
        (ir.heads, ir.query_space.size) if tensor.side == "q" else (ir.kv_heads, ir.key_space.size)
    )
    channels = [sizes[tensor.columns]] if tensor.columns else []
    return np.full([batches, heads, tokens, *channels], np.nan, dtype)


@dataclass
class Interpreter:
    """The state of one program on one batch element. tensors: [heads or kv heads, tokens, channels] by name.

    head: the query head at work; where the program owns kv, one that shares the owner's kv head.
    """

    program: tile.Program
    schedule: Schedule
    tensors: Mapping[str, Array]
    inputs: Mapping[str, Array]
    arguments: Mapping[str, float]
    sizes: Sizes
    dtype: Any
    head: int = 0
    tokens: dict[str, Array] = field(default_factory=dict)
    variables: dict[str, Array] = field(default_factory=dict)
    residual: int = 0

    def run(self) -> None:
        """Every head and owner tile."""
        group = self._group if self.program.owner == "kv" else 1
        for head in range(0, self.schedule.ir.heads, group):
            for owner in range(len(self._tiles(self.program.owner)[1])):
                self.head = head
                self._enter(self.program.owner, owner)
                self._run(self.program.body, owner)

    def _run(self, statements: tuple[tile.Statement, ...], owner: int) -> None:
        for statement in statements:
            match statement:
                case tile.Assign(name, value):
                    self.variables[name] = self._value(value)
                case tile.Store(tensor, value):
                    self._head_of(tensor)[self._rows_of(tensor)] = self._value(value)
                case tile.Add(tensor, value, factor):
                    rows = self._head_of(tensor)
                    rows[self.tokens[tensor.side]] += self._value(value) * self._value(factor)
                case tile.ForHeads(body):
                    first = self.head
                    for head in range(first, first + self._group):
                        self.head = head
                        self._run(body, owner)
                case tile.ForVisited(body):
                    for other, residual in _visited(self._map(), owner):
                        self.residual = residual
                        self._enter("kv" if self.program.owner == "q" else "q", other)
                        self._run(body, owner)

    @property
    def _group(self) -> int:
        """Query heads per kv head."""
        return self.schedule.ir.heads // self.schedule.ir.kv_heads

    def _head_of(self, tensor: tile.Tensor) -> Array:
        """The tensor at the head at work, [tokens, channels]."""
        head: Array = self.tensors[tensor.name][self.head if tensor.side == "q" else self.head // self._group]
        return head

    def _rows_of(self, tensor: tile.Tensor) -> Any:
        """Which rows of a head are those of the tile at hand."""
        return slice(None) if tensor.rows else self.tokens[tensor.side]

    def _map(self) -> BlockMap:
        block_map = self.schedule.maps[int(self.schedule.map_of_head[self.head])]
        return block_map if self.program.owner == "q" else block_map.transpose()

    def _tiles(self, side: tile.Side) -> tuple[Array, Array]:
        return (self.schedule.q_tiling if side == "q" else self.schedule.kv_tiling).tokens()

    def _enter(self, side: tile.Side, number: int) -> None:
        tokens, counts = self._tiles(side)
        self.tokens[side] = tokens[number, : counts[number]]

    @singledispatchmethod
    def _value(self, expression: tile.Expression) -> Any:
        raise TypeError(f"cannot interpret {type(expression).__name__}")

    @_value.register
    def _(self, expression: tile.Number) -> Any:
        return np.asarray(expression.value, self.dtype)

    @_value.register
    def _(self, expression: tile.Argument) -> Any:
        return np.asarray(self.arguments[expression.name], self.dtype)

    @_value.register
    def _(self, expression: tile.Variable) -> Any:
        return self.variables[expression.name]

    @_value.register
    def _(self, expression: tile.Full) -> Any:
        sizes = [self._size(d) for d in (expression.like.rows, expression.like.columns) if d]
        return np.full(sizes, expression.value, self.dtype)

    @_value.register
    def _(self, expression: tile.Load) -> Any:
        tensor = expression.tensor
        return self._head_of(tensor)[self._rows_of(tensor)].astype(self.dtype)

    @_value.register
    def _(self, expression: tile.Visible) -> Any:
        q, kv = self.tokens["q"], self.tokens["kv"]
        visible = self._evaluate(self.schedule.residuals[self.residual - 1]) if self.residual else True
        return np.broadcast_to(visible, (len(q), len(kv)))

    @_value.register
    def _(self, expression: tile.Term) -> Any:
        ir, q, kv = self.schedule.ir, self.tokens["q"], self.tokens["kv"]
        places = segment_of(ir.query_space, q[0]), segment_of(ir.key_space, kv[0])
        region = next(each for each in ir.regions if (each.query, each.key) == places)
        value = np.asarray(self._evaluate(region.terms[expression.number]), self.dtype)
        whole = np.broadcast_to(value, (len(q), len(kv)))
        return whole if expression.like.columns else whole[:, 0] if expression.like.rows else whole[0, 0]

    @_value.register
    def _(self, expression: tile.Elementwise) -> Any:
        columns = expression.shape.columns
        operands = [self._value(operand) for operand in expression.arguments]
        if columns:
            operands = [value[:, None] if value.ndim == 1 else value for value in operands]
        with np.errstate(all="ignore"):  # what comes of pairs that are not visible is thrown away
            return ELEMENTWISE[expression.op].evaluate(*operands).astype(self._type(expression))

    @_value.register
    def _(self, expression: tile.Reduce) -> Any:
        value = self._value(expression.tile)
        return value.max(axis=1) if expression.kind == "max" else value.sum(axis=1)

    @_value.register
    def _(self, expression: tile.Dot) -> Any:
        left, right = self._value(expression.left), self._value(expression.right)
        return (left.T if expression.transpose_left else left) @ (
            right.T if expression.transpose_right else right
        )

    @_value.register
    def _(self, expression: tile.Relabel) -> Any:
        return self._value(expression.value)

    @_value.register
    def _(self, expression: tile.Pairs) -> Any:
        query, key = (np.arange(len(self.tokens[side])) for side in ("q", "kv"))
        return RELATIONS[expression.relation](query[:, None], key[None, :], expression.half)

    @_value.register
    def _(self, expression: tile.Scan) -> Any:
        value = self._value(expression.value)
        block = expression.block or len(value)
        parts = [value[first : first + block] for first in range(0, len(value), block)]
        return np.concatenate([_running_sum(part, expression.kind) for part in parts])

    @_value.register
    def _(self, expression: tile.Total) -> Any:
        return self._value(expression.value).sum(axis=0)

    def _type(self, expression: tile.Elementwise) -> Any:
        return bool if expression.op in TRUTHS else self.dtype

    def _size(self, dimension: tile.Dimension) -> int:
        if dimension in self.tokens:
            return len(self.tokens[dimension])
        return self.sizes[dimension]

    def _evaluate(self, root: Expr) -> Any:
        """A predicate or term on the pairs of the current tiles, broadcastable to [q, kv]."""
        ir = self.schedule.ir
        tokens = {"q": self.tokens["q"][:, None], "k": self.tokens["kv"][None, :]}
        positions = {
            "q": _coordinates(ir.query_space, tokens["q"]),
            "k": _coordinates(ir.key_space, tokens["k"]),
        }

        def leaf(node: Expr) -> Any:
            match node:
                case Position(side, int(axis)):
                    return positions[side][axis]
                case InputAt(name, side):
                    return self.inputs[name][tokens[side]]
                case InputElement(name):
                    return self.inputs[name]
                case Head():
                    return self.head
            raise TypeError(f"{type(node).__name__} does not belong into bound IR")

        return evaluate(root, leaf)


RELATIONS: dict[str, Callable[[Array, Array, int], Array]] = {
    "up_to": lambda query, key, half: key <= query,
    "before": lambda query, key, half: key < query,
    "same": lambda query, key, half: key == query,
    "halves": lambda query, key, half: (key // half + 1 == query // half) & (query // half % 2 == 1),
}
"""The relations of `Pairs`, of numbers inside a chunk."""


def _running_sum(rows: Array, kind: str) -> Array:
    if kind == "through":
        return np.cumsum(rows, axis=0)
    later = np.cumsum(rows[:0:-1], axis=0)[::-1]
    return np.concatenate([later, np.zeros_like(rows[:1])])


def _coordinates(space: Space, tokens: Array) -> tuple[Array, ...]:
    """Coordinates of tokens that all lie in one segment, as those of a tile do."""
    return coordinates(space.segments[segment_of(space, tokens.flat[0])], tokens)


def segment_of(space: Space, token: int) -> int:
    """The number of the segment that a token lies in."""
    return next(n for n, s in enumerate(space.segments) if s.offset <= token < s.offset + s.size)


def _visited(block_map: BlockMap, row: int) -> Iterator[tuple[int, int]]:
    """The tiles that a row of the block map visits, each with its residual."""
    for run in range(block_map.row_start[row], block_map.row_start[row + 1]):
        for column in range(block_map.begin[run], block_map.end[run]):
            yield column, int(block_map.residual[run])
