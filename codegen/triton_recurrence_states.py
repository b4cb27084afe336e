"""Passes of a recurrence over its state alone: what segments of a text make of it, computed first."""

from __future__ import annotations

from dataclasses import replace

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.triton_recurrence_fold import nodes_of


def states_only(program: tile.Program) -> tile.Program:
    """The program that computes the state after all chunks, or the gradient of that before, and nothing else.

    It gets the name of the program with `_states`.
    """
    body = tuple(
        replace(each, body=_needed(each.body)) if isinstance(each, tile.ForChunks) else each
        for each in program.body
    )
    used = {node for statement in body for node in nodes_of(statement)}
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
            names |= {node.name for node in nodes_of(statement) if isinstance(node, tile.Variable)}
            kept.append(statement)
    return tuple(reversed(kept))
