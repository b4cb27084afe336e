"""`attndsl compile --target triton|sm80|...`: Triton kernels as text, assembly, and what they use of a GPU.

Nothing here needs a GPU. Printing needs no Triton either; assembly and resources come from cross compilation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attndsl.cli.output import require_torch
from attndsl.diagnostics import AttnBackendError
from attndsl.ir.bound import BoundIR

if TYPE_CHECKING:
    from attndsl.cli.compile_kernel import Request
    from attndsl.codegen.triton import PrintedKernel
    from attndsl.codegen.triton_configuration import Direction
    from attndsl.codegen.triton_targets import Target
    from attndsl.runtime.triton_problem import Printer

ANY_GPU = "sm80"
"""What the target `triton` is built for: kernels whose tiles fit the shared memory of newer GPUs too."""


def target_of(name: str) -> Target:
    """The GPU of a target's name."""
    from attndsl.codegen.triton_targets import TARGETS

    return TARGETS[ANY_GPU if name == "triton" else name]


def gpu_assembly(printed: PrintedKernel, target: Target) -> str:
    """The machine code of a printed kernel."""
    require_torch()
    from attndsl.runtime.triton_target import cross_compile

    compiled = cross_compile(printed, target)
    return str(compiled.asm.get("ptx") or compiled.asm["amdgcn"])


def triton_stage(ir: BoundIR, request: Request) -> str:
    """One stage of a kernel of tiles. Raises AttnBackendError (A07xx) for what there is not."""
    require_torch()
    from attndsl.runtime.compile import parse_dtype
    from attndsl.runtime.triton_problem import Printer, Problem

    kernel, head_dim = request.kernel, request.head_dim
    problem = Problem(ir, head_dim, head_dim, parse_dtype(request.dtype), target_of(request.target))
    printer = Printer(problem)
    match request.emit:
        case "tile-ir":
            from attndsl.codegen.listing import print_program
            from attndsl.codegen.programs import program_of

            return print_program(program_of(ir, kernel))
        case "schedule":
            from attndsl.schedule.text import schedule_text

            return schedule_text(printer.schedule(printer.defaults(kernel)[0]))
        case "resources":
            from attndsl.runtime.triton_resources import resources, resources_table

            return resources_table(resources(printer.problem))
        case "asm":
            printed = printer.print(kernel, printer.defaults(kernel)[0])
            return gpu_assembly(printed, problem.target)
    return _source(printer, kernel, request.standalone)


def _source(printer: Printer, kernel: Direction, standalone: bool) -> str:
    from attndsl.codegen.triton_standalone import standalone_kernel

    printed = printer.print(kernel, printer.defaults(kernel)[0])
    if not standalone:
        return printed.source
    if kernel != "forward":
        raise AttnBackendError(
            "A0725",
            f"files that stand alone hold the forward kernel, not {kernel}",
            help="leave out --standalone, or --kernel",
        )
    return standalone_kernel(printed, printer.problem.ir, printer.problem.element)
