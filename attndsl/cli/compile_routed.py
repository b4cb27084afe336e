"""`attndsl compile` of patterns with a route: the kernels that are given a plan with each call.

Their tiles and the tiles that they visit are arguments, so that one kernel serves all plans over units of
the same size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attndsl.cli.output import require_torch
from attndsl.diagnostics import AttnBackendError
from attndsl.ir.bound import BoundIR, pairs_only
from attndsl.ir.route_units import route_table

if TYPE_CHECKING:
    from attndsl.cli.compile_kernel import Request
    from attndsl.codegen.tile_ir import Program
    from attndsl.codegen.triton import PrintedKernel
    from attndsl.codegen.triton_configuration import Direction
    from attndsl.codegen.triton_targets import Target
    from attndsl.pipeline import Bound

KERNELS = ("forward", "dq", "dk_dv")


def routed_stage(bound: Bound, request: Request) -> str:
    """A stage of a kernel that takes a plan.

    Raises AttnBackendError A0707 where torch gathers single keys, A0704 and A0711 for types and sizes that
    there are no kernels for, A0728 for other kernels.
    """
    from attndsl.schedule.text import schedule_text

    if request.emit == "schedule":
        return f"what plans may choose from: the mask of `attend`\n{schedule_text(bound.schedule())}"
    require_torch()
    ir = bound.ir
    if request.kernel not in KERNELS or (request.standalone and not request.on_cpu):
        raise AttnBackendError(
            "A0728", f"`{ir.name}` has a route: calls give a plan to its kernels, {', '.join(KERNELS)}",
            help="use one of these kernels, without --standalone",
        )  # fmt: skip
    units = route_table(ir, "q")[1], route_table(ir, "k")[1]
    return _on_cpu(ir, units, request) if request.on_cpu else _on_gpu(ir, units, request)


def _on_cpu(ir: BoundIR, units: tuple[int, int], request: Request) -> str:
    """A stage of a C++ kernel."""
    from attndsl.cli.compile_kernel import cpp_text, refuse_element
    from attndsl.codegen.cpp import print_kernel
    from attndsl.codegen.listing import print_program
    from attndsl.runtime.routed import SMALLEST_UNIT, has_terms_of_regions
    from attndsl.runtime.routed_mask import StaticMask
    from attndsl.runtime.routed_tiles import KV_TILE, Q_TILE, even_size

    if units[1] < SMALLEST_UNIT or has_terms_of_regions(ir):
        raise _torch_gathers(ir)
    by_query = units[0] < SMALLEST_UNIT
    program = _program(pairs_only(ir), request.kernel, by_query)
    if request.emit == "tile-ir":
        return print_program(program)
    refuse_element(request)
    tiles = Q_TILE if by_query else even_size(units[0], Q_TILE), even_size(units[1], KV_TILE)
    sizes = request.head_dim, request.head_dim
    schedule = StaticMask(pairs_only(ir)).schedule(*tiles)
    return cpp_text(print_kernel(program, schedule, *sizes, request.dtype), request.emit)


def _program(ir: BoundIR, kernel: Direction, by_query: bool) -> Program:
    """The program of a kernel; queries that are routed one by one stand in several tiles."""
    from attndsl.codegen.programs import program_of
    from attndsl.codegen.slotted import slotted

    program = program_of(ir, kernel)
    return slotted(program) if by_query else program


def _torch_gathers(ir: BoundIR) -> AttnBackendError:
    return AttnBackendError(
        "A0707", f"the keys that the route of `{ir.name}` chooses are gathered and attended to by torch",
        help="call the bound pattern; there is no kernel to print",
    )  # fmt: skip


def _on_gpu(ir: BoundIR, units: tuple[int, int], request: Request) -> str:
    """A stage of a Triton kernel."""
    from attndsl.cli.compile_triton import gpu_assembly, target_of
    from attndsl.codegen.listing import print_program
    from attndsl.ir.route_numbers import list_heads
    from attndsl.runtime.routed import SMALLEST_UNIT
    from attndsl.runtime.routed_layout import has_placed
    from attndsl.runtime.routed_triton_kernels import kernels_of_route
    from attndsl.runtime.triton_problem import MOST_CHANNELS, TYPES

    if units[1] < SMALLEST_UNIT or not has_placed(pairs_only(ir)):
        raise _torch_gathers(ir)
    if request.dtype not in TYPES or request.head_dim > MOST_CHANNELS:
        raise AttnBackendError(
            "A0711", f"kernels of plans compute {', '.join(TYPES)} with at most {MOST_CHANNELS} channels",
            help="use --dtype fp32, bf16 or fp16, and fewer channels",
        )  # fmt: skip
    target = target_of(request.target)
    printed = kernels_of_route(ir, target, list_heads(ir), request.head_dim, request.dtype)
    if request.emit == "resources":
        return _resources(printed, target)
    kernel = printed[request.kernel]
    if request.emit == "tile-ir":
        return print_program(kernel.program)
    return gpu_assembly(kernel, target) if request.emit == "asm" else kernel.source


def _resources(printed: Mapping[Direction, PrintedKernel], target: Target) -> str:
    """What all kernels use, as a table."""
    from attndsl.runtime.triton_resources import KernelResources, matrix_instruction, resources_table
    from attndsl.runtime.triton_target import cross_compile, resources_of

    rows = []
    for kernel, source in printed.items():
        compiled, each = cross_compile(source, target), source.configuration
        tiles = (each.q_tokens,), (each.kv_tokens,)
        used = resources_of(compiled, target)
        rows.append(KernelResources(kernel, target.name, *tiles, each, used, matrix_instruction(compiled)))
    return resources_table(rows)
