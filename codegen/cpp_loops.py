"""Prints row loops as C++: one loop over rows, in groups that fill a vector, with loops over columns inside.

Row vectors are computed for a whole group of rows at once; tiles row by row, one vector of columns at a time.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.cpp_tiles import SIZES
from attndsl.codegen.elementwise import ELEMENTWISE
from attndsl.codegen.steps import RowLoop, columns_of, reads, variables

_STARTS = {"max": "broadcast(-infinity)", "sum": "Vector{}"}
_COMBINES = {"max": "maximum({0}, {1})", "sum": "{0} + {1}"}
_FUNCTIONS = {
    "max": "maximum",
    "min": "minimum",
    "abs": "absolute",
    "sqrt": "square_root",
    "tanh": "hyperbolic_tangent",
    "erf": "error_function",
}
_ACROSS = {"max": "maximum_of_each", "sum": "sum_of_each"}


def print_row_loop(loop: RowLoop, kept: Collection[str]) -> Iterator[str]:
    """The lines of a loop. kept: tiles that other loops or products read, so that they must be stored."""
    rows = SIZES[loop.assignments[0].value.shape.rows]
    yield f"for (int first = 0; first < {rows}; first += vector_width) {{"
    for number, block in enumerate(loop.blocks):
        needed = {*kept, *(name for later in loop.blocks[number + 1 :] for name in reads(RowLoop(later)))}
        lines = _column_block(block, needed) if columns_of(block[0]) else _row_block(block)
        yield from ("    " + line for line in lines)
    yield "}"


def _row_block(block: Sequence[tile.Assign]) -> Iterator[str]:
    for statement in block:
        value = _Vectors({}).vector(statement.value)
        yield f"store({statement.name} + first, {value});{_comment(statement)}"


def _column_block(block: Sequence[tile.Assign], kept: Collection[str]) -> Iterator[str]:
    reductions = [(s.name, s.value) for s in block if isinstance(s.value, tile.Reduce)]
    yield from (f"Vector {name}_rows[vector_width];" for name, _ in reductions)
    yield "for (int lane = 0; lane < vector_width; ++lane) {"
    yield "    const int row = first + lane;"
    for name in sorted(_row_vectors(block)):
        yield f"    const Vector {name}_row = broadcast({name}[row]);"
    yield from (f"    Vector {name}_lanes = {_STARTS[value.kind]};" for name, value in reductions)
    columns = SIZES[columns_of(block[0])]
    yield f"    for (int column = 0; column < padded({columns}); column += vector_width) {{"
    yield from ("        " + line for line in _columns_body(block, kept))
    yield "    }"
    yield from (f"    {name}_rows[lane] = {name}_lanes;" for name, _ in reductions)
    yield "}"
    yield from (f"store({name} + first, {_ACROSS[value.kind]}({name}_rows));" for name, value in reductions)


def _columns_body(block: Sequence[tile.Assign], kept: Collection[str]) -> Iterator[str]:
    printer = _Vectors({name: f"{name}_row" for name in _row_vectors(block)})
    for statement in block:
        name = statement.name
        if isinstance(statement.value, tile.Reduce):
            operand = printer.vector(statement.value.tile)
            yield f"{name}_lanes = {_COMBINES[statement.value.kind].format(f'{name}_lanes', operand)};"
            continue
        here = f"{name}_here" if name not in printer.names else f"{printer.names[name]}_again"
        yield f"const Vector {here} = {printer.vector(statement.value)};{_comment(statement)}"
        printer.names[name] = here
        if name in kept:
            yield f"store({name}.row(row) + column, {here});"


def _row_vectors(block: Sequence[tile.Assign]) -> set[str]:
    """Row vectors that the tiles of the block are combined with."""
    return {v.name for s in block for v in variables(s.value) if v.shape.rows and not v.shape.columns}


def _comment(statement: tile.Assign) -> str:
    return f"  // {statement.comment}" if statement.comment else ""


class _Vectors:
    """Prints values as C++ vectors. names: how variables are written that are at hand in registers."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def vector(self, value: tile.Expression) -> str:
        """The text of a value of type Vector."""
        return f"broadcast({scalar(value)})" if value.shape == tile.SCALAR else self._text(value)

    def _text(self, value: tile.Expression) -> str:
        match value:
            case tile.Variable(name, shape):
                place = f"{name}.row(row) + column" if shape.columns else f"{name} + first"
                return self.names.get(name, f"load({place})")
            case tile.Full(_, number):
                return f"broadcast({number_text(number)})"
            case tile.Visible():
                return "load(visible.row(row) + column)"
            case tile.Pairs(relation, half):
                return f"pairs_{relation}{f'<{half}>' if half else ''}(row, column)"
            case tile.Elementwise(op, arguments) if ELEMENTWISE[op].symbol:
                return f" {ELEMENTWISE[op].symbol} ".join(map(self._operand, arguments))
            case tile.Elementwise("not", (condition,)):
                return f"~{self._operand(condition)}"
            case tile.Elementwise(op, arguments):
                name = _FUNCTIONS.get(op, op)
                return f"{name}({', '.join(map(self.vector, arguments))})"
        raise TypeError(f"{type(value).__name__} is not row-local")

    def _operand(self, value: tile.Expression) -> str:
        if value.shape == tile.SCALAR:
            return scalar(value) if isinstance(value, tile.Number) else f"({scalar(value)})"
        text = self._text(value)
        return f"({text})" if isinstance(value, tile.Elementwise) and ELEMENTWISE[value.op].symbol else text


def scalar(value: tile.Expression) -> str:
    """The text of a float."""
    match value:
        case tile.Number(number):
            return number_text(number)
        case tile.Argument(name) | tile.Variable(name):
            return name
        case tile.Elementwise(op, (left, right)) if ELEMENTWISE[op].symbol:
            return f"{scalar(left)} {ELEMENTWISE[op].symbol} {scalar(right)}"
        case tile.Elementwise("exp2", (exponent,)):
            return f"exp2(broadcast({scalar(exponent)}))[0]"
    raise TypeError(f"{type(value).__name__} is not a number")


def number_text(number: float) -> str:
    """A float32 literal."""
    if math.isinf(number):
        return "infinity" if number > 0 else "-infinity"
    return f"{number:.9g}f" if "." in f"{number:.9g}" or "e" in f"{number:.9g}" else f"{number:.9g}.0f"
