"""Prints tile IR for readers: what `attndsl compile --emit tile-ir` shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import singledispatch

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.elementwise import ELEMENTWISE


def print_program(program: tile.Program) -> str:
    """The text of a program, one statement per line."""
    tensors = ", ".join(map(_declare, program.inputs))
    outputs = ", ".join(map(_declare, program.outputs))
    arguments = "".join(f", {argument.name}" for argument in program.arguments)
    head = f"program {program.name}({tensors}{arguments}) -> {outputs}"
    chunked = any(isinstance(statement, tile.ForChunks) for statement in program.body)
    owners = "query head" if chunked else f"{program.owner} tile"
    body = _lines(program.body, depth=2)
    return "\n".join([head, f"    for each {owners}:", *body]) + "\n"


def _declare(tensor: tile.Tensor) -> str:
    columns = f", {tensor.columns}" if tensor.columns else ""
    return f"{tensor.name}[{tensor.rows or tensor.side}{columns}]"


def _lines(statements: Iterable[tile.Statement], depth: int) -> Iterator[str]:
    for statement in statements:
        text = "    " * depth + _statement(statement)
        yield f"{text}  # {statement.comment}" if statement.comment else text
        if isinstance(statement, tile.ForVisited | tile.ForHeads | tile.ForChunks):
            yield from _lines(statement.body, depth + 1)


@singledispatch
def _statement(statement: tile.Statement) -> str:
    raise TypeError(f"no listing for {type(statement).__name__}")


@_statement.register
def _(statement: tile.Assign) -> str:
    return f"{statement.name} = {_expression(statement.value)}"


@_statement.register
def _(statement: tile.Store) -> str:
    return f"store {statement.tensor.name} = {_expression(statement.value)}"


@_statement.register
def _(statement: tile.Add) -> str:
    return f"add to {statement.tensor.name} = {_operand(statement.value)} * {_expression(statement.factor)}"


@_statement.register
def _(statement: tile.ForVisited) -> str:
    return "for each visited tile:"


@_statement.register
def _(statement: tile.ForHeads) -> str:
    return "for each query head of the kv head:"


@_statement.register
def _(statement: tile.ForChunks) -> str:
    return f"for each chunk{', the last one first' if statement.reverse else ''}:"


@singledispatch
def _expression(expression: tile.Expression) -> str:
    raise TypeError(f"no listing for {type(expression).__name__}")


@_expression.register
def _(expression: tile.Number) -> str:
    return f"{expression.value:.9g}"


@_expression.register
def _(expression: tile.Argument) -> str:
    return expression.name


@_expression.register
def _(expression: tile.Variable) -> str:
    return expression.name


@_expression.register
def _(expression: tile.Full) -> str:
    sizes = [size for size in (expression.like.rows, expression.like.columns) if size]
    return f"full([{', '.join(sizes)}], {expression.value:.9g})"


@_expression.register
def _(expression: tile.Load) -> str:
    return f"load {expression.tensor.name}"


@_expression.register
def _(expression: tile.Visible) -> str:
    return "visible"


@_expression.register
def _(expression: tile.Term) -> str:
    return f"term{expression.number}"


@_expression.register
def _(expression: tile.Elementwise) -> str:
    operands = [_operand(operand) for operand in expression.arguments]
    symbol = ELEMENTWISE[expression.op].symbol
    if symbol:
        return f" {symbol} ".join(operands)
    if expression.op == "select":
        return f"{operands[1]} where {operands[0]} else {operands[2]}"
    return f"{expression.op}({', '.join(map(_expression, expression.arguments))})"


@_expression.register
def _(expression: tile.Reduce) -> str:
    return f"row_{expression.kind}({_expression(expression.tile)})"


@_expression.register
def _(expression: tile.Dot) -> str:
    left = _operand(expression.left) + ("^T" if expression.transpose_left else "")
    right = _operand(expression.right) + ("^T" if expression.transpose_right else "")
    return f"{left} @ {right}"


@_expression.register
def _(expression: tile.Relabel) -> str:
    return _expression(expression.value)


@_expression.register
def _(expression: tile.Pairs) -> str:
    return f"halves({expression.half})" if expression.half else expression.relation


@_expression.register
def _(expression: tile.Scan) -> str:
    block = f", block={expression.block}" if expression.block else ""
    return f"sum_{expression.kind}({_expression(expression.value)}{block})"


@_expression.register
def _(expression: tile.Total) -> str:
    return f"total({_expression(expression.value)})"


def _operand(expression: tile.Expression) -> str:
    text = _expression(expression)
    infix = isinstance(expression, tile.Dot) or (
        isinstance(expression, tile.Elementwise)
        and (ELEMENTWISE[expression.op].symbol or expression.op == "select")
    )
    return f"({text})" if infix or isinstance(expression, tile.Load) else text
