"""`attndsl compile`: one stage of one pattern with its numbers, by the algorithm that calls run.

Pairs of tokens have kernels of tiles, in this file and `compile_triton.py`; recurrences and routes have
others (`compile_recurrence.py`, `compile_routed.py`), and sums over all keys none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attndsl.diagnostics import AttnBackendError

if TYPE_CHECKING:
    from attndsl.codegen.triton_configuration import Direction
    from attndsl.pipeline import Bound


@dataclass(frozen=True)
class Request:
    """What is asked for. dtype: torch's name."""

    target: str
    emit: str
    head_dim: int
    dtype: str
    kernel: Direction = "forward"
    standalone: bool = False

    @property
    def on_cpu(self) -> bool:
        """Whether kernels are C++."""
        return self.target in ("cpp", "reference")


def stage(bound: Bound, request: Request) -> str:
    """The stage as text. Raises AttnError where there is none."""
    from attndsl.cli.compile_grouped import inside_of_groups
    from attndsl.cli.compile_recurrence import recurrence_stage
    from attndsl.cli.compile_routed import routed_stage
    from attndsl.cli.compile_triton import triton_stage
    from attndsl.ir.bound import decays_by_channel
    from attndsl.ir.text import bound_text
    from attndsl.passes.branch_spaces import refuse_products, refuse_schedule
    from attndsl.runtime.linear_obstacles import refuse_slow_tiles
    from attndsl.schedule.text import schedule_text

    ir = bound.ir
    if request.emit == "ir":
        return bound_text(ir)
    refuse_schedule(ir)
    refuse_products(ir)
    if bound.algorithm == "recurrence":
        return recurrence_stage(ir, request)
    if decays_by_channel(ir):
        refuse_slow_tiles(ir)
    if ir.groups and request.emit == "schedule":
        return f"what groups may choose from: the mask of `attend`\n{schedule_text(bound.schedule())}"
    if ir.groups:
        return stage(inside_of_groups(bound), request)
    if ir.route is not None:
        return routed_stage(bound, request)
    if not request.on_cpu:
        return triton_stage(ir, request)
    if request.emit == "schedule":
        return schedule_text(bound.schedule())
    return _tiles(bound, request)


def _tiles(bound: Bound, request: Request) -> str:
    """A C++ kernel of tiles."""
    from attndsl.codegen.cpp import print_kernel
    from attndsl.codegen.listing import print_program
    from attndsl.codegen.programs import program_of

    program = program_of(bound.ir, request.kernel)
    if request.emit == "tile-ir":
        return print_program(program)
    refuse_element(request)
    sizes = request.head_dim, request.head_dim
    return cpp_text(print_kernel(program, bound.schedule(), *sizes, request.dtype), request.emit)


def refuse_element(request: Request) -> None:
    """Raise AttnBackendError A0704 for types that C++ kernels do not compute."""
    from attndsl.codegen.cpp import ELEMENTS

    if request.dtype not in ELEMENTS:
        raise AttnBackendError(
            "A0704",
            f"C++ kernels compute {', '.join(ELEMENTS)}, not {request.dtype}",
            help="use --dtype fp32, bf16 or fp16",
        )


def cpp_text(source: str, emit: str) -> str:
    """A printed C++ kernel as a file that stands alone, or its machine code."""
    from attndsl.codegen.standalone import standalone

    return standalone(source) if emit == "source" else _assembly(standalone(source))


def _assembly(source: str) -> str:
    """The machine code of a kernel as the system's compiler prints it."""
    import tempfile
    from dataclasses import replace

    from attndsl.runtime.compiler import find_compiler

    compiler = find_compiler()
    with tempfile.TemporaryDirectory() as folder:
        text, result = Path(folder, "kernel.cpp"), Path(folder, "kernel.s")
        text.write_text(source, encoding="utf-8")
        replace(compiler, command=(*compiler.command, "-S")).compile(text, result)
        return result.read_text(encoding="utf-8")
