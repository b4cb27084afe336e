"""What the Triton kernels of a pattern use on a GPU: registers, shared memory and spills.

The kernels are compiled for the GPU, which need not be there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attndsl.codegen.triton import print_kernel
from attndsl.codegen.triton_configuration import Configuration, Direction
from attndsl.codegen.triton_targets import Target
from attndsl.runtime.triton_kernels import PROGRAMS, Problem, TritonKernels, check_problem
from attndsl.runtime.triton_target import Resources, cross_compile, resources_of
from attndsl.schedule.schedule import Schedule

_COLUMNS = tuple("kernel,target,q tile,kv tile,warps,stages,registers,shared,spills,matrix".split(","))

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
    problem: Problem,
    target: Target,
    *,
    schedule: Schedule | None = None,
    directions: Sequence[Direction] = DIRECTIONS,
    chosen: Configuration | None = None,
) -> list[KernelResources]:
    """Compiles kernels and reports what they use.

    schedule: the tiles to use; chosen to suit the target if left out. chosen: how to build the kernels, by
    default as the table says. Raises AttnBackendError A0710 to A0712 where they cannot be compiled.
    """
    check_problem(problem, target)
    kernels = TritonKernels(problem, target, schedule)
    return [_compiled(kernels, each, chosen or kernels.configuration(each)) for each in directions]


def _compiled(kernels: TritonKernels, direction: Direction, chosen: Configuration) -> KernelResources:
    problem, schedule = kernels.problem, kernels.schedule(chosen)
    sizes = problem.head_dim, problem.value_dim
    printed = print_kernel(PROGRAMS[direction](), schedule, *sizes, problem.element, chosen)
    compiled = cross_compile(printed, kernels.target)
    return KernelResources(
        direction,
        kernels.target.name,
        schedule.q_tile,
        schedule.kv_tile,
        chosen,
        resources_of(compiled, kernels.target),
        _matrix_instruction(compiled.asm.get("ptx") or compiled.asm["amdgcn"]),
    )


def _matrix_instruction(assembly: str) -> str:
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
