"""Prints the expressions of tile IR as Triton.

A tile [q, kv] is stored with the owner's rows first, so that gradients of keys, whose programs own kv tiles,
need no transposition of what they computed. Everything is float32 but tensors' tiles, which keep their type
until arithmetic needs them, and the factors of products, which are rounded to the tensors' type.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.elementwise import ELEMENTWISE

_FUNCTIONS = {
    "max": "tl.maximum", "min": "tl.minimum", "abs": "tl.abs", "exp2": "tl.exp2", "log2": "tl.log2",
    "sqrt": "tl.sqrt", "tanh": "tanh_of_scores", "erf": "tl.erf", "select": "tl.where", "not": "~",
}  # fmt: skip


@dataclass(frozen=True)
class Printed:
    """A printed value. atomic: whether operators may stand beside it without parentheses."""

    text: str
    atomic: bool = True

    def __str__(self) -> str:
        return self.text if self.atomic else f"({self.text})"


@dataclass
class Values:
    """Prints values.

    load: the text of a tile's load. term: that of a term of the weighting. sizes: lanes or channels of each
    dimension. tensors: the type of tensors. products: the type of factors that are not both tiles of
    tensors. precision: the argument that float32 products get, if any. masked: whether `Visible` is to be
    tested; on FULL tiles it holds. stored: the variables that hold a tensor's tile in the tensor's type.
    """

    owner: tile.Side
    sizes: dict[tile.Dimension, str]
    tensors: str
    products: str
    precision: str
    load: Callable[[tile.Tensor], str]
    term: Callable[[tile.Term], str]
    masked: bool = False
    stored: set[str] = field(default_factory=set)

    def text(self, value: tile.Expression) -> str:
        """The value, float32 or bool."""
        return self._print(value).text

    def _print(self, value: tile.Expression) -> Printed:
        match value:
            case tile.Number(number):
                return Printed(number_text(number), number >= 0 or math.isinf(number))
            case tile.Argument(name):
                return Printed(name)
            case _ if self._is_stored(value):
                return Printed(self._factor(value, "float32"))
            case tile.Variable(name):
                return Printed(name)
            case tile.Load(tensor):
                return Printed(self.load(tensor))
            case tile.Visible():
                return Printed("visible")
            case tile.Term():
                return Printed(self.term(value))
            case tile.Full(like, number):
                sizes = ", ".join(self.sizes[dimension] for dimension in self._stored_order(like))
                return Printed(f"tl.full([{sizes}], {number_text(number)}, tl.float32)")
            case tile.Reduce(kind, operand):
                axis = 0 if self._swapped(operand.shape) else 1
                return Printed(f"tl.{kind}({self.text(operand)}, axis={axis})")
            case tile.Dot():
                return self._dot(value)
            case tile.Elementwise():
                return self._elementwise(value)
        raise TypeError(f"no Triton for {type(value).__name__}")

    def _elementwise(self, value: tile.Elementwise) -> Printed:
        match value:
            case tile.Elementwise("add", (rest, tile.Dot() as dot)) if not isinstance(rest, tile.Dot):
                return self._dot(dot, self._operand(rest, value.shape).text)
            case tile.Elementwise("select", (tile.Visible(), chosen, _)) if not self.masked:
                return self._operand(chosen, value.shape)
        operands = [self._operand(argument, value.shape) for argument in value.arguments]
        symbol = ELEMENTWISE[value.op].symbol
        if symbol:
            return Printed(f" {symbol} ".join(map(str, operands)), atomic=False)
        return Printed(f"{_FUNCTIONS[value.op]}({', '.join(operand.text for operand in operands)})")

    def _operand(self, value: tile.Expression, shape: tile.Shape) -> Printed:
        """A value as an operand of one with the given shape: row vectors go along the rows of tiles."""
        printed = self._print(value)
        if value.shape.rows and not value.shape.columns and shape.columns:
            return Printed(f"{printed}[None, :]" if self._swapped(shape) else f"{printed}[:, None]")
        return printed

    def _dot(self, dot: tile.Dot, accumulator: str = "") -> Printed:
        kind = self.tensors if all(map(self._is_stored, dot.operands)) else self.products
        left = self._matrix(dot.left, dot.transpose_left, kind)
        right = self._matrix(dot.right, dot.transpose_right, kind)
        if self._swapped(dot.shape):  # the transposed product
            left = self._matrix(dot.right, not dot.transpose_right, kind)
            right = self._matrix(dot.left, not dot.transpose_left, kind)
        precision = [f'input_precision="{self.precision}"'] if self.precision else []
        return Printed(f"tl.dot({', '.join([left, right, *filter(None, [accumulator]), *precision])})")

    def _matrix(self, value: tile.Expression, transposed: bool, kind: str) -> str:
        """A factor of the given type with rows and columns as written, or exchanged."""
        text = self._factor(value, kind)
        return f"tl.trans({text})" if transposed != self._swapped(value.shape) else text

    def _factor(self, value: tile.Expression, kind: str) -> str:
        if self._is_stored(value):
            printed, own = Printed(self._stored_text(value)), self.tensors
        else:
            printed, own = self._print(value), "float32"
        return printed.text if own == kind else f"{printed}.to(tl.{kind})"

    def _is_stored(self, value: tile.Expression) -> bool:
        """Whether the value is a tensor's tile in the tensor's type."""
        match value:
            case tile.Load(tensor):
                return tensor.columns is not None
            case tile.Variable(name):
                return name in self.stored
        return False

    def _stored_text(self, value: tile.Expression) -> str:
        return self.load(value.tensor) if isinstance(value, tile.Load) else value.name  # type: ignore[attr-defined]

    def _stored_order(self, shape: tile.Shape) -> list[tile.Dimension]:
        order = [dimension for dimension in (shape.rows, shape.columns) if dimension]
        return order[::-1] if self._swapped(shape) else order

    def _swapped(self, shape: tile.Shape) -> bool:
        """Whether values of a shape are stored with rows and columns exchanged."""
        return shape.columns == self.owner and shape.rows in ("q", "kv")


def number_text(number: float) -> str:
    """A float literal."""
    if math.isinf(number):
        return f'float("{"-" if number < 0 else ""}inf")'
    return repr(float(number))
