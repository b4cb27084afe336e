"""What the Triton kernels of a pattern use on a GPU: registers, shared memory and spills.

The kernels are compiled for the GPU, which need not be there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from attndsl.codegen.triton_configuration import Configuration, Direction
from attndsl.runtime.checks import EIGHT_BIT
from attndsl.runtime.triton_problem import Printer, Problem
from attndsl.runtime.triton_target import Resources, cross_compile, resources_of

_COLUMNS = (
    *("kernel", "target", "q tile", "kv tile", "warps", "stages"),
    *("registers", "shared", "spills", "matrix"),
)

DIRECTIONS: tuple[Direction, ...] = ("forward", "dq", "dk_dv")


@dataclass(frozen=True)
class KernelResources:
    """One row of the report. matrix: the matrix instruction in the kernel, such as 'wgmma'."""

    program: Direction
    target: str
    q_tile: tuple[int, ...]
    kv_tile: tuple[int, ...]
    configuration: Configuration
    used: Resources
    matrix: str


def resources(
    problem: Problem, directions: Sequence[Direction] = DIRECTIONS, chosen: Configuration | None = None
) -> list[KernelResources]:
    """Compiles kernels and reports what they use.

    chosen: how to build the kernels; by default as the backend would, so that the first choice without spills
    is reported. Raises AttnBackendError A0710 without Triton and A0712 in its interpreter.
    """
    printer = Printer(problem)
    directions = directions[:1] if problem.dtype == EIGHT_BIT else directions
    return [_settled(printer, each, [chosen] if chosen else printer.defaults(each)) for each in directions]


def _settled(printer: Printer, direction: Direction, choices: Sequence[Configuration]) -> KernelResources:
    for chosen in choices:
        found = _compiled(printer, direction, chosen)
        if not found.used.spills:
            break
    return found


def _compiled(printer: Printer, direction: Direction, chosen: Configuration) -> KernelResources:
    target, schedule = printer.problem.target, printer.schedule(chosen)
    compiled = cross_compile(printer.print(direction, chosen), target)
    return KernelResources(
        direction,
        target.name,
        schedule.q_tile,
        schedule.kv_tile,
        chosen,
        resources_of(compiled, target),
        matrix_instruction(compiled),
    )


def matrix_instruction(compiled: Any) -> str:
    """The matrix instruction in a compiled kernel, such as 'wgmma'; 'none' without one."""
    assembly = compiled.asm.get("ptx") or compiled.asm["amdgcn"]
    known = {"wgmma": "wgmma.mma_async", "tcgen05": "tcgen05.mma", "mma": "mma.sync", "mfma": "v_mfma"}
    return next((name for name, text in known.items() if text in assembly), "none")


def resources_table(rows: Sequence[KernelResources]) -> str:
    """The report as a Markdown table."""
    lines = [_COLUMNS, ("---",) * len(_COLUMNS), *map(_cells, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cells(row: KernelResources) -> tuple[str, ...]:
    used, chosen = row.used, row.configuration
    tiles = ("x".join(map(str, tile)) for tile in (row.q_tile, row.kv_tile))
    numbers = (chosen.warps, chosen.stages, used.registers, used.shared, used.spills)
    return (row.program, row.target, *tiles, *map(str, numbers), row.matrix)
