"""Which products of a kernel may leave out pairs that are not visible, in a PARTIAL tile.

A product of queries and keys may, if what it leaves out is replaced before it is used. A product of weights
and values may, if the weights it leaves out are 0. Every other product, and everything in a FULL tile, is
computed whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.steps import Product, RowLoop, Step, reads, variables


def sparse_products(steps: Sequence[Step]) -> set[Product]:
    """The products that may. steps: all of a program, without loops."""
    hidden = _hidden_values(steps)
    return {step for step in steps if isinstance(step, Product) and _is_sparse(step, steps, hidden)}


def _is_sparse(product: Product, steps: Sequence[Step], hidden: Mapping[str, float]) -> bool:
    dot = product.dot
    if dot.transpose_left:
        return False
    if product.accumulates:
        return isinstance(dot.left, tile.Variable) and hidden.get(dot.left.name) == 0.0
    return product.target.shape == tile.Shape("q", "kv") and not _needs_hidden(product.target.name, steps)


def _needs_hidden(name: str, steps: Sequence[Step]) -> bool:
    """Whether something depends on what a tile holds for pairs that are not visible."""
    for step in steps:
        if isinstance(step, RowLoop):
            used = {v.name for s in step.assignments for v in _used_everywhere(s.value)}
            if name in used:
                return True
        elif name in reads(step):
            return True
    return False


def _used_everywhere(value: tile.Expression) -> Iterator[tile.Variable]:
    """The variables that a value depends on where pairs are not visible."""
    match value:
        case tile.Elementwise("select", (tile.Visible(), _, otherwise)):
            yield from variables(otherwise)
        case tile.Variable():
            yield value
        case _:
            for operand in value.operands:
                yield from _used_everywhere(operand)


def _hidden_values(steps: Sequence[Step]) -> dict[str, float]:
    """The tiles that hold one known number for all pairs that are not visible."""
    known: dict[str, float] = {}
    for step in steps:
        for statement in step.assignments if isinstance(step, RowLoop) else ():
            number = _hidden_value(statement.value, known)
            if number is not None:
                known[statement.name] = number
    return known


def _hidden_value(value: tile.Expression, known: Mapping[str, float]) -> float | None:
    """That number. All other numbers are taken to be finite."""
    match value:
        case tile.Variable(name):
            return known.get(name)
        case tile.Elementwise("select", (tile.Visible(), _, tile.Number(number))):
            return number
        case tile.Elementwise("sub", (left, _)) if _hidden_value(left, known) == -math.inf:
            return -math.inf
        case tile.Elementwise("exp2", (exponent,)) if _hidden_value(exponent, known) == -math.inf:
            return 0.0
        case tile.Elementwise("mul", factors) if any(_hidden_value(each, known) == 0.0 for each in factors):
            return 0.0
    return None
