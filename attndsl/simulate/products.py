"""Counts over tile IR: the products of a program and the tensors that it reads and writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attndsl.codegen.tile_ir import (
    Add,
    Assign,
    Dimension,
    Dot,
    Expression,
    ForChunks,
    ForHeads,
    ForVisited,
    Program,
    Shape,
    Statement,
    Store,
    Tensor,
)

Sizes = Mapping[Dimension, int]
"""What rows and columns run over, in numbers."""


def loop_of(program: Program) -> tuple[Statement, ...]:
    """The body of the loop over tiles or chunks."""
    (loop,) = (each for each in program.body if isinstance(each, ForVisited | ForChunks))
    return tuple(loop.body)


def products(body: Iterable[Statement]) -> Iterator[Dot]:
    """The matrix products of one turn of a body, those of loops inside it once."""
    for statement in body:
        if isinstance(statement, ForVisited | ForHeads | ForChunks):
            yield from products(statement.body)
        elif isinstance(statement, Assign | Store | Add):
            yield from _products_in(statement.value)


def _products_in(value: Expression) -> Iterator[Dot]:
    if isinstance(value, Dot):
        yield value
    for operand in value.operands:
        yield from _products_in(operand)


def flops(product: Dot, sizes: Sizes) -> float:
    """Its multiplications and additions."""
    left = product.left.shape
    inner = left.rows if product.transpose_left else left.columns
    return 2.0 * _size(product.shape, sizes) * _size(Shape(inner), sizes)


def _size(shape: Shape, sizes: Sizes) -> int:
    """The elements of a value."""
    return (sizes[shape.rows] if shape.rows else 1) * (sizes[shape.columns] if shape.columns else 1)


def elements(tensor: Tensor, sizes: Sizes) -> int:
    """The elements of one head of a tensor. sizes: of q and kv, all tokens."""
    return _size(Shape(tensor.rows or tensor.side, tensor.columns), sizes)
