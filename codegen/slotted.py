"""Programs over gathered tiles, in which a query stands in as many tiles as it has slots.

What is computed of a query in one tile is a part only: it goes to a slot of its own in float32, and
`runtime_merge.h` joins the slots of each query. What is computed of keys goes to slots too: callers add up
the query heads that share a kv head.
"""

from __future__ import annotations

from dataclasses import replace

from attndsl.codegen.tile_ir import Program, Statement, Store, Tensor


def slotted(program: Program) -> Program:
    """The program with slots in place of tokens in what it writes."""
    return replace(
        program,
        outputs=tuple(map(_slotted, program.outputs)),
        body=tuple(map(_stored_in_slots, program.body)),
    )


def _slotted(tensor: Tensor) -> Tensor:
    return replace(tensor, slotted=True)


def _stored_in_slots(statement: Statement) -> Statement:
    if isinstance(statement, Store):
        return replace(statement, tensor=_slotted(statement.tensor))
    return statement
