"""Rewrites programs of recurrences for a GPU: less to hold in registers, and passes over the state alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from attndsl.codegen import tile_ir as tile

_ZERO, _ONE = tile.Number(0.0), tile.Number(1.0)

Statements = tuple[tile.Statement, ...]


def folded(program: tile.Program) -> tile.Program:
    """The program without sums over one row, and with the factors of tokens where tiles are smallest.

    A running sum over blocks of one row is the row itself, or 0. A tile of keys or queries whose rows have
    factors is multiplied by another tile: the factors go to that tile's rows, which has fewer channels, or to
    the product's.
    """
    body = tuple(
        replace(each, body=_late_scale(_late_factors(tuple(map(_folded_statement, each.body)))))
        if isinstance(each, tile.ForChunks)
        else each
        for each in program.body
    )
    return replace(program, body=body)


def _folded_statement(statement: tile.Statement) -> tile.Statement:
    if isinstance(statement, tile.Assign | tile.Store):
        return replace(statement, value=_folded(statement.value))
    return statement


def _folded(value: tile.Expression) -> tile.Expression:
    match value:
        case tile.Scan(inner, kind, 1):
            return inner if kind == "through" else _ZERO
        case tile.Relabel(inner):
            found = _folded(inner)
            return found if found == _ZERO else replace(value, value=found)
        case tile.Elementwise(op, arguments):
            operands = tuple(map(_folded, arguments))
            if op == "exp2" and operands == (_ZERO,):
                return _ONE
            if op == "mul" and operands[1] == _ONE:
                return operands[0]
            return replace(value, arguments=operands)
    return value


def _late_factors(body: Statements) -> Statements:
    """The statements with `(tile * factors) @ other` as a product of `tile`."""
    faded = {name: value for name, value in map(_tile_with_factors, body) if value}
    kept = (each for each in body if _tile_with_factors(each) == ("", None))
    return tuple(
        replace(each, value=_without(each.value, faded)) if isinstance(each, tile.Assign) else each
        for each in kept
    )


def _tile_with_factors(statement: tile.Statement) -> tuple[str, tile.Elementwise | None]:
    """The name and value of an assignment that gives each row of a tensor's tile a factor of its own."""
    match statement:
        case tile.Assign(name, tile.Elementwise("mul", (tile.Variable(), factors)) as value) if (
            name.startswith("faded_") and not factors.shape.columns
        ):
            return name, value
    return "", None


def _without(value: tile.Expression, faded: dict[str, tile.Elementwise]) -> tile.Expression:
    match value:
        case tile.Dot(tile.Variable(name), other, transposed) if name in faded:
            rows, factors = faded[name].arguments
            if transposed:
                scaled = tile.Elementwise("mul", (other, _rows_as(factors, other)))
                return replace(value, left=rows, right=scaled)
            return tile.Elementwise("mul", (replace(value, left=rows), factors))
        case tile.Elementwise(_, arguments):
            return replace(value, arguments=tuple(_without(each, faded) for each in arguments))
    return value


def _rows_as(factors: tile.Expression, other: tile.Expression) -> tile.Expression:
    rows = other.shape.rows
    if rows == factors.shape.rows:
        return factors
    return tile.Relabel(factors, "q" if rows == "q" else "kv")


def _late_scale(body: Statements) -> Statements:
    """The statements with the queries as they are loaded, where they begin with scaled ones."""
    match body[0]:
        case tile.Assign(name, tile.Elementwise("mul", (tile.Load() as load, scale))):
            queries = tile.Variable(name, load.shape)
            first = replace(body[0], value=load, comment="")
            return first, *(_with_scale(each, queries, scale) for each in body[1:])
    return body


def _with_scale(statement: tile.Statement, queries: tile.Variable, scale: tile.Expression) -> tile.Statement:
    if isinstance(statement, tile.Assign | tile.Store):
        return replace(statement, value=_scaled(statement.value, queries, scale))
    return statement


def _scaled(value: tile.Expression, queries: tile.Variable, scale: tile.Expression) -> tile.Expression:
    """The value with `queries` multiplied; of products the other factor, or what they come to."""
    match value:
        case tile.Variable() if value == queries:
            return tile.Elementwise("mul", (value, scale))
        case tile.Elementwise("add", (rest, tile.Dot(left, right) as dot)) if queries in (left, right):
            other = tile.Elementwise("mul", (right if left == queries else left, scale))
            both = {"right": other} if left == queries else {"left": other}
            return replace(value, arguments=(rest, replace(dot, **both)))
        case tile.Dot() if queries in value.operands:
            return tile.Elementwise("mul", (value, scale))
        case tile.Elementwise(_, arguments):
            return replace(value, arguments=tuple(_scaled(each, queries, scale) for each in arguments))
        case tile.Reduce(_, inner):
            return replace(value, tile=_scaled(inner, queries, scale))
        case tile.Relabel(inner):
            return replace(value, value=_scaled(inner, queries, scale))
    return value


def states_only(program: tile.Program) -> tile.Program:
    """The program that computes the state after all chunks, or the gradient of that before, and nothing else.

    It gets the name of the program with `_states`.
    """
    body = tuple(
        replace(each, body=_needed(each.body)) if isinstance(each, tile.ForChunks) else each
        for each in program.body
    )
    used = {node for statement in body for node in _nodes(statement)}
    return replace(
        program,
        name=f"{program.name}_states",
        inputs=tuple(each for each in program.inputs if tile.Load(each) in used),
        outputs=tuple(each for each in program.outputs if each.rows),
        arguments=tuple(each for each in program.arguments if each in used),
        body=body,
    )


def _needed(body: Statements) -> Statements:
    """The statements of a loop that the state depends on."""
    names, kept = {"state"}, list[tile.Statement]()
    for statement in reversed(body):
        if isinstance(statement, tile.Assign) and statement.name in names:
            names |= {node.name for node in _nodes(statement) if isinstance(node, tile.Variable)}
            kept.append(statement)
    return tuple(reversed(kept))


def _nodes(statement: tile.Statement) -> Iterator[tile.Expression]:
    """All expressions in a statement."""
    if isinstance(statement, tile.ForChunks):
        for inner in statement.body:
            yield from _nodes(inner)
    elif isinstance(statement, tile.Assign | tile.Store):
        yield from _within(statement.value)


def _within(value: tile.Expression) -> Iterator[tile.Expression]:
    yield value
    for operand in value.operands:
        yield from _within(operand)
