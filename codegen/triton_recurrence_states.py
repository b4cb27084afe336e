"""Passes of a recurrence over its state alone: what segments of a text make of it, computed first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from attndsl.codegen import tile_ir as tile


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


def _needed(body: tuple[tile.Statement, ...]) -> tuple[tile.Statement, ...]:
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
