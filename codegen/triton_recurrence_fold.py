"""Rewrites programs of recurrences for a GPU, where registers are scarce: the same with smaller tiles."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from attndsl.codegen import tile_ir as tile

Statements = tuple[tile.Statement, ...]
Rewrite = Callable[[tile.Expression], tile.Expression]

_ZERO, _ONE = tile.Number(0.0), tile.Number(1.0)
_DECAYS = tile.Variable("decays", tile.Shape("q", "kv"))


def folded(program: tile.Program) -> tile.Program:
    """The program rewritten: see the functions of `_PASSES`."""
    return replace(program, body=tuple(map(_folded, program.body)))


def _folded(statement: tile.Statement) -> tile.Statement:
    if not isinstance(statement, tile.ForChunks):
        return statement
    body = statement.body
    for each in _PASSES:
        body = each(body)
    return replace(statement, body=body)


def _sums_of_one_row(body: Statements) -> Statements:
    """Running sums over blocks of one row are the row itself, or 0; e^0 is 1, and no factor."""
    return tuple(_rewritten(statement, _without_sums) for statement in body)


def _without_sums(value: tile.Expression) -> tile.Expression:
    match _with_operands(value, _without_sums):
        case tile.Scan(inner, "through", 1):
            return inner
        case tile.Scan(_, "after", 1) | tile.Relabel(tile.Number(0.0)):
            return _ZERO
        case tile.Elementwise("exp2", (tile.Number(0.0),)):
            return _ONE
        case tile.Elementwise("mul", (factor, tile.Number(1.0))):
            return factor
        case other:
            return other


def _late_factors(body: Statements) -> Statements:
    """Factors of the rows of keys or queries go to the tile that they are multiplied by, or to the product.

    These have fewer channels.
    """
    faded = dict(map(_tile_with_factors, body))
    kept = [statement for statement in body if _tile_with_factors(statement)[1] is None]
    return tuple(_rewritten(statement, lambda value: _without(value, faded)) for statement in kept)


def _tile_with_factors(statement: tile.Statement) -> tuple[str, tile.Elementwise | None]:
    """The name and value of an assignment that gives each row of a tensor's tile a factor of its own."""
    match statement:
        case tile.Assign(name, tile.Elementwise("mul", (tile.Variable(), factors)) as value) if (
            name.startswith("faded_") and not factors.shape.columns
        ):
            return name, value
    return "", None


def _without(value: tile.Expression, faded: dict[str, tile.Elementwise | None]) -> tile.Expression:
    match value:
        case tile.Dot(tile.Variable(name), other, transposed) if isinstance(
            tile_and_factors := faded.get(name), tile.Elementwise
        ):
            rows, factors = tile_and_factors.arguments
            if transposed:
                return replace(value, left=rows, right=_product(other, _rows_as(factors, other)))
            return _product(replace(value, left=rows), factors)
    return _with_operands(value, lambda operand: _without(operand, faded))


def _rows_as(factors: tile.Expression, other: tile.Expression) -> tile.Expression:
    rows = other.shape.rows
    return factors if rows == factors.shape.rows else tile.Relabel(factors, "q" if rows == "q" else "kv")


def _late_scale(body: Statements) -> Statements:
    """Queries stay as they are loaded, where they begin with scaled ones: others are multiplied instead."""
    match body[0]:
        case tile.Assign(name, tile.Elementwise("mul", (tile.Load() as load, scale))):
            queries = tile.Variable(name, load.shape)
            rest = (_rewritten(each, lambda value: _scaled(value, queries, scale)) for each in body[1:])
            return replace(body[0], value=load, comment=""), *rest
    return body


def _scaled(value: tile.Expression, queries: tile.Variable, scale: tile.Expression) -> tile.Expression:
    """The value with `queries` multiplied; of products the other factor, or what they come to."""
    match value:
        case tile.Variable() if value == queries:
            return _product(value, scale)
        case tile.Elementwise("add", (rest, tile.Dot(left, right) as dot)) if left == queries:
            return replace(value, arguments=(rest, replace(dot, right=_product(right, scale))))
        case tile.Elementwise("add", (rest, tile.Dot(left, right) as dot)) if right == queries:
            return replace(value, arguments=(rest, replace(dot, left=_product(left, scale))))
        case tile.Dot() if queries in value.operands:
            return _product(value, scale)
    return _with_operands(value, lambda operand: _scaled(operand, queries, scale))


def _named_decays(body: Statements) -> Statements:
    """The decay between the tokens of pairs gets a name, and is computed once."""
    found = next((decay for statement in body for decay in _decays_in(statement)), None)
    if found is None:
        return body
    first = next(n for n, statement in enumerate(body) if any(_decays_in(statement)))
    named = tile.Assign(_DECAYS.name, found, comment="between the tokens of each pair; 0 for no pair")
    rest = (_rewritten(each, lambda value: _replaced(value, found, _DECAYS)) for each in body[first:])
    return *body[:first], named, *rest


def _decays_in(statement: tile.Statement) -> Iterator[tile.Expression]:
    if isinstance(statement, tile.Assign):
        for value in (statement.value, *statement.value.operands):
            match value:
                case tile.Elementwise("exp2", (tile.Elementwise("select", (tile.Pairs(), *_)),)):
                    yield value


def _replaced(value: tile.Expression, old: tile.Expression, new: tile.Expression) -> tile.Expression:
    return new if value == old else _with_operands(value, lambda operand: _replaced(operand, old, new))


def _level_by_level(body: Statements) -> Statements:
    """What is computed with one division of the chunk into halves comes together: keys, then products."""
    levels = [_level(statement) for statement in body]
    found = [place for place, level in enumerate(levels) if level]
    if not found:
        return body
    middle = body[found[0] : found[-1] + 1]
    by_level = sorted(filter(_level, middle), key=_level)
    plain = [statement for statement in middle if not _level(statement)]
    needed, before = _names_read(by_level), list[tile.Statement]()
    for statement in reversed(plain):
        if isinstance(statement, tile.Assign) and statement.name in needed:
            needed |= _names_read([statement])
            before.insert(0, statement)
    after = (statement for statement in plain if statement not in before)
    return *body[: found[0]], *before, *by_level, *after, *body[found[-1] + 1 :]


def _level(statement: tile.Statement) -> int:
    """The half that a statement's variables are named for, 0 for none."""
    own = [statement.name] if isinstance(statement, tile.Assign) else []
    names = "".join(f"{name} " for name in (*own, *_names_read([statement])))
    found = re.search(r"_(\d+) ", names)
    return int(found.group(1)) if found else 0


def _names_read(statements: Iterable[tile.Statement]) -> set[str]:
    nodes = (node for statement in statements for node in nodes_of(statement))
    return {node.name for node in nodes if isinstance(node, tile.Variable)}


_PASSES = (_sums_of_one_row, _late_factors, _late_scale, _named_decays, _level_by_level)


def nodes_of(statement: tile.Statement) -> Iterator[tile.Expression]:
    """All expressions in a statement, also inside loops."""
    if isinstance(statement, tile.ForChunks):
        for inner in statement.body:
            yield from nodes_of(inner)
    elif isinstance(statement, tile.Assign | tile.Store):
        yield from _within(statement.value)


def _within(value: tile.Expression) -> Iterator[tile.Expression]:
    yield value
    for operand in value.operands:
        yield from _within(operand)


def _rewritten(statement: tile.Statement, rewrite: Rewrite) -> tile.Statement:
    if isinstance(statement, tile.Assign | tile.Store):
        return replace(statement, value=rewrite(statement.value))
    return statement


def _with_operands(value: tile.Expression, rewrite: Rewrite) -> tile.Expression:
    """The value with its operands rewritten."""
    match value:
        case tile.Elementwise(_, arguments):
            return replace(value, arguments=tuple(map(rewrite, arguments)))
        case tile.Reduce(_, inner):
            return replace(value, tile=rewrite(inner))
        case tile.Relabel(inner) | tile.Scan(inner) | tile.Total(inner):
            return replace(value, value=rewrite(inner))
        case tile.Dot(left, right):
            return replace(value, left=rewrite(left), right=rewrite(right))
    return value


def _product(left: tile.Expression, right: tile.Expression) -> tile.Elementwise:
    return tile.Elementwise("mul", (left, right))
