"""Rewrites tile IR so that scores stay unscaled until they meet another operation that scales for free.

The forward pass says `scores = scale * q k^T`, takes their row maximum and exponentiates `scores - maximum`.
A positive factor can be applied to the maximum instead, and the other product is fused with the subtraction:
one multiplication less for each pair of tokens, of about six instructions. The factor must be positive;
callers see to that by moving the sign of the scale into q.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from attndsl.codegen import tile_ir as tile


def fold_scale(program: tile.Program) -> tile.Program:
    """The same program with its scores scaled late; unchanged where no row maximum of scores is taken."""
    return replace(program, body=tuple(map(_statement, program.body)))


def _statement(statement: tile.Statement) -> tile.Statement:
    if not isinstance(statement, tile.ForVisited):
        return statement
    body = [inner for inner in statement.body if isinstance(inner, tile.Assign)]
    for number, scores in enumerate(body):
        scale, rest = _scale_of(scores.value), body[number + 1 :]
        if scale is not None and any(_takes_maximum(later.value, scores.name) for later in rest):
            unscaled = replace(scores, value=_without_scale(scores.value), comment="not scaled yet")
            scaled = (replace(later, value=_scaled(later.value, scores.name, scale)) for later in rest)
            return replace(statement, body=(*body[:number], unscaled, *scaled))
    return statement


def _scale_of(value: tile.Expression) -> tile.Expression | None:
    """The scalar factor of `select(visible, tile * factor, other)`."""
    match value:
        case tile.Elementwise("select", (tile.Visible(), tile.Elementwise("mul", (_, factor)), _)) if (
            factor.shape == tile.SCALAR
        ):
            return factor
    return None


def _without_scale(value: tile.Expression) -> tile.Expression:
    match value:
        case tile.Elementwise("select", (visible, tile.Elementwise("mul", (scores, _)), other)):
            return tile.Elementwise("select", (visible, scores, other))
    raise TypeError("no scaled scores")


def _takes_maximum(value: tile.Expression, name: str) -> bool:
    match value:
        case tile.Reduce("max", tile.Variable(operand)):
            return operand == name
    return any(_takes_maximum(operand, name) for operand in value.operands)


def _scaled(value: tile.Expression, name: str, scale: tile.Expression) -> tile.Expression:
    """`value` with the scale applied where it reads the variable or its maximum."""
    match value:
        case tile.Variable(other) if other == name:
            return tile.Elementwise("mul", (value, scale))
        case tile.Reduce("max", tile.Variable(other)) if other == name:
            return tile.Elementwise("mul", (value, scale))
        case tile.Elementwise(op, arguments):
            return tile.Elementwise(op, _all_scaled(arguments, name, scale))
        case tile.Reduce(kind, operand):
            return tile.Reduce(kind, _scaled(operand, name, scale))
        case tile.Dot():
            left, right = _all_scaled(value.operands, name, scale)
            return replace(value, left=left, right=right)
    return value


def _all_scaled(
    values: Iterable[tile.Expression], name: str, scale: tile.Expression
) -> tuple[tile.Expression, ...]:
    return tuple(_scaled(value, name, scale) for value in values)
