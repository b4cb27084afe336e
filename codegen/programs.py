"""The programs of attention, by name: what backends compile for a bound pattern."""

from __future__ import annotations

from collections.abc import Callable

from attndsl.codegen.backward import delta, dk_dv, dq, dq_dk_dv
from attndsl.codegen.forward import forward
from attndsl.codegen.scores import Scores, scores_of
from attndsl.codegen.tile_ir import Program
from attndsl.ir.bound import BoundIR

PROGRAMS: dict[str, Callable[[Scores], Program]] = {
    "forward": forward,
    "delta": delta,
    "dq": dq,
    "dk_dv": dk_dv,
    "dq_dk_dv": dq_dk_dv,
}


def program_of(ir: BoundIR, name: str) -> Program:
    """The program of a pattern, with its scores and weights."""
    return PROGRAMS[name](scores_of(ir))
