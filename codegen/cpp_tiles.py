"""How C++ kernels lay out the tiles of tensors: that depends on which factors of products they are.

A tile of tokens is a left factor, a right factor, a transposed right factor, or is read element by element.
Most processors want the first two in one layout, a matrix unit wants three different ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.steps import Gather, Heads, Product, RowLoop, Step, Visit, inner_steps, reads

SIZES: dict[tile.Dimension | None, str] = {"q": "Tq", "kv": "Tk", "head_dim": "D", "value_dim": "Dv"}
"""The constants of a kernel that say how long a dimension of a tile is."""

Form = Literal["left", "right", "either", "transposed", "plain", "column"]


@dataclass(frozen=True)
class Buffer:
    """A tile of a tensor in fast memory. column: one number per token."""

    name: str
    tensor: tile.Tensor
    form: Form

    @property
    def declaration(self) -> str:
        """The member of a struct that holds it."""
        rows, columns = SIZES[self.tensor.side], SIZES.get(self.tensor.columns)
        types = {
            "left": f"QueryTile<Factor, {rows}, {columns}>",
            "right": f"ValueTile<Factor, {rows}, {columns}>",
            "either": f"EitherTile<Factor, {rows}, {columns}>",
            "transposed": f"KeyTile<Factor, {columns}, {rows}>",
            "plain": f"Tile<float, {rows}, {columns}>",
        }
        return f"{types[self.form]} {self.name};" if columns else f"alignas(64) float {self.name}[{rows}];"

    def gather(self, place: str = "") -> str:
        """The statement that fills it. place: what stands before its name."""
        function = {"transposed": "gather_transposed", "column": "gather_column"}.get(
            self.form, "gather_rows"
        )
        element = "const Element" if self.tensor.columns else "const float"
        return f"{function}({place}{self.name}, {rows_of(self.tensor, element)});"


class Buffers:
    """The buffers of a program. own: of the owner tile's rows. visited: of a visited tile's rows.

    float32: all factors of products are, and then left and right ones lie in memory as other tiles do.
    """

    def __init__(self, steps: Sequence[Step], float32: bool = False) -> None:
        self._steps, self._float32 = list(inner_steps(steps)), float32
        visited = {step for step in _visited(steps) if isinstance(step, Gather)}
        gathers = [step for step in self._steps if isinstance(step, Gather)]
        self._forms = {
            (gather.target, form): buffer for gather in gathers for form, buffer in self._of(gather)
        }
        self.own = self._distinct([gather for gather in gathers if gather not in visited])
        self.visited = self._distinct([gather for gather in gathers if gather in visited])

    def left(self, operand: tile.Expression) -> str:
        """A left factor."""
        return self._factor(operand, "left", "as_left")

    def right(self, operand: tile.Expression, transposed: bool) -> str:
        """A right factor."""
        return self._factor(operand, "transposed" if transposed else "right", "as_right")

    def _factor(self, operand: tile.Expression, form: Form, view: str) -> str:
        if not isinstance(operand, tile.Variable):
            raise TypeError(f"{type(operand).__name__} cannot be a factor")
        buffer = self._forms.get((operand.name, form))
        if buffer is None:
            return operand.name
        return f"{view}({buffer.name})" if buffer.form == "either" else buffer.name

    def _distinct(self, gathers: Sequence[Gather]) -> list[Buffer]:
        return list(dict.fromkeys(buffer for gather in gathers for _, buffer in self._of(gather)))

    def _of(self, gather: Gather) -> Iterator[tuple[Form, Buffer]]:
        """The buffers of a tile by the form that is asked for."""
        if gather.tensor.columns is None:
            yield "column", Buffer(gather.target, gather.tensor, "column")
            return
        uses = set(self._uses(gather.target))
        by_rows = sorted(uses - {"transposed"})
        if self._float32 and by_rows:
            by_rows = ["plain"]
        if by_rows not in ([], ["left"], ["right"], ["plain"], ["left", "right"]):
            raise TypeError(f"{gather.target} cannot be all of {', '.join(by_rows)}")
        form: Form = "either" if len(by_rows) > 1 else by_rows[0] if by_rows else "transposed"
        for use in by_rows:
            yield use, Buffer(gather.target, gather.tensor, form)
        if "transposed" in uses:
            name = f"{gather.target}_transposed" if by_rows else gather.target
            yield "transposed", Buffer(name, gather.tensor, "transposed")

    def _uses(self, name: str) -> Iterator[Form]:
        for step in self._steps:
            if isinstance(step, RowLoop) and name in reads(step):
                yield "plain"
            elif isinstance(step, Product):
                left, right = step.dot.operands
                if isinstance(left, tile.Variable) and left.name == name:
                    yield "left"
                if isinstance(right, tile.Variable) and right.name == name:
                    yield "transposed" if step.dot.transpose_right else "right"


def rows_of(tensor: tile.Tensor, element: str) -> str:
    """The rows of a tensor that are tokens of the tile at hand on its side."""
    head, tiling = ("head", "queries") if tensor.side == "q" else ("kv_head", "keys")
    if tensor.slotted:
        return f"slots_of<{element}>(call.tensors[{tensor.name}], call.{tiling}, {tensor.side}_tile)"
    return (
        f"rows_of<{element}>(call.tensors[{tensor.name}], batch, {head}, call.{tiling}, {tensor.side}_tile)"
    )


def _visited(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps inside loops over visited tiles."""
    for step in steps:
        if isinstance(step, Visit):
            yield from step.steps
        elif isinstance(step, Heads):
            yield from _visited(step.steps)
