"""`attndsl compile` of patterns in linear time: kernels of their recurrence, in C++ and for GPUs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attndsl.cli.output import require_torch
from attndsl.codegen.listing import print_program
from attndsl.codegen.recurrence import RECURRENCES, Decay
from attndsl.codegen.triton import PrintedKernel
from attndsl.codegen.triton_configuration import Direction
from attndsl.codegen.triton_recurrence import print_recurrence
from attndsl.codegen.triton_recurrence_configuration import RecurrenceConfiguration, recurrence_default
from attndsl.codegen.triton_targets import Target
from attndsl.diagnostics import AttnBackendError
from attndsl.ir.bound import BoundIR, decays_by_channel

if TYPE_CHECKING:
    from attndsl.cli.compile_kernel import Request

DTYPES = ("float32", "bfloat16", "float16")
MOST_CHANNELS = 256
KERNELS: tuple[Direction, ...] = ("forward", "dq", "dk_dv")


def recurrence_stage(ir: BoundIR, request: Request) -> str:
    """A stage of a kernel of a recurrence.

    Raises AttnBackendError A0704 and A0711 for types and sizes that there are no kernels for, A0726 for other
    kernels, A0727 for Triton kernels that stand alone.
    """
    if request.kernel not in KERNELS:
        raise AttnBackendError(
            "A0726", f"`{ir.name}` runs as a recurrence, whose kernels are {', '.join(KERNELS)}",
            help="use --kernel with one of these",
        )  # fmt: skip
    if request.on_cpu:
        return _on_cpu(ir, request)
    if request.standalone:
        raise AttnBackendError(
            "A0727", f"`{ir.name}` runs as a recurrence, whose Triton kernels do not stand alone",
            help="leave out --standalone, or use --target cpp, whose files always do",
        )  # fmt: skip
    if request.dtype not in DTYPES or request.head_dim > MOST_CHANNELS:
        raise AttnBackendError(
            "A0711",
            f"kernels of recurrences compute {', '.join(DTYPES)} with at most {MOST_CHANNELS} channels",
            help="use --dtype fp32, bf16 or fp16, and fewer channels",
        )
    return _on_gpu(ir, request)


def decay_of(ir: BoundIR) -> Decay:
    """The kind of decay: documents forget by steps of their own."""
    if decays_by_channel(ir):
        return "channel"
    forgets = ir.linear is not None and ir.linear.documents
    return "token" if ir.weighting.decay is not None or forgets else "none"


def sizes_of(ir: BoundIR, head_dim: int, dtype: str) -> tuple[int, int, str]:
    """Channels of keys and of values, and the type of tensors.

    Where weights are divided by their sum, that is one more channel of values, and all is float32.
    """
    divides = ir.weighting.normalize == "sum"
    return head_dim, head_dim + divides, "float32" if divides else dtype


def _on_cpu(ir: BoundIR, request: Request) -> str:
    """A stage of a C++ kernel."""
    from attndsl.cli.compile_kernel import cpp_text, refuse_element
    from attndsl.codegen import recurrence_cpp

    decay = decay_of(ir)
    chunk, program = (
        recurrence_cpp.CHUNKS[decay],
        _program(request.kernel, decay, recurrence_cpp.CHUNKS[decay]),
    )
    if request.emit == "schedule":
        return schedule_text(ir, chunk, request.head_dim)
    if request.emit == "tile-ir":
        return program
    refuse_element(request)
    head_dim, value_dim, dtype = sizes_of(ir, request.head_dim, request.dtype)
    sizes = recurrence_cpp.whole(head_dim), recurrence_cpp.whole(value_dim)
    made = RECURRENCES[f"recurrence_{request.kernel}"](decay, chunk)
    return cpp_text(recurrence_cpp.print_recurrence(made, chunk, *sizes, dtype), request.emit)


def _on_gpu(ir: BoundIR, request: Request) -> str:
    """A stage of a Triton kernel."""
    from attndsl.cli.compile_triton import gpu_assembly, target_of

    kernels = _GpuKernels(ir, target_of(request.target), request.head_dim, request.dtype)
    chunk = kernels.configuration(request.kernel).chunk
    match request.emit:
        case "schedule":
            return schedule_text(ir, chunk, request.head_dim)
        case "tile-ir":
            return _program(request.kernel, kernels.decay, chunk)
        case "resources":
            return kernels.resources()
        case "asm":
            return gpu_assembly(kernels.print(request.kernel), kernels.target)
    return kernels.print(request.kernel).source


def _program(kernel: Direction, decay: Decay, chunk: int) -> str:
    return print_program(RECURRENCES[f"recurrence_{kernel}"](decay, chunk))


def schedule_text(ir: BoundIR, chunk: int, head_dim: int) -> str:
    """What a recurrence has in place of a block map: its chunks and its state."""
    tokens = ir.query_space.size
    chunks, rest = -(-tokens // chunk), tokens % chunk
    rows, columns, _ = sizes_of(ir, head_dim, "float32")
    last = f", the last of {rest}" if rest else ""
    lines = [
        f"schedule of {ir.name}: a recurrence",
        f"  {chunks:,} chunks of {chunk} tokens{last}, one after the other in every head",
        f"  a state of {rows} x {columns} numbers per head is carried from chunk to chunk",
    ]
    if ir.linear is not None and ir.linear.documents:
        lines.append(f"  a change of `{ir.linear.documents}` from one token to the next resets it")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class _GpuKernels:
    """The kernels as calls take them."""

    ir: BoundIR
    target: Target
    head_dim: int
    dtype: str

    @property
    def decay(self) -> Decay:
        """The kind of decay."""
        return decay_of(self.ir)

    @property
    def sizes(self) -> tuple[int, int, str]:
        """Channels of keys and of values, and the type of tensors."""
        return sizes_of(self.ir, self.head_dim, self.dtype)

    def configuration(self, kernel: Direction) -> RecurrenceConfiguration:
        """How a kernel is built."""
        return recurrence_default(self.target, f"recurrence_{kernel}", self.decay, *self.sizes)

    def print(self, kernel: Direction) -> PrintedKernel:
        """A kernel."""
        return print_recurrence(f"recurrence_{kernel}", self.decay, *self.sizes, self.configuration(kernel))

    def resources(self) -> str:
        """What all kernels use, as a table."""
        require_torch()
        from attndsl.runtime.triton_resources import KernelResources, matrix_instruction, resources_table
        from attndsl.runtime.triton_target import cross_compile, resources_of

        rows = []
        for kernel in KERNELS:
            compiled, chosen = cross_compile(self.print(kernel), self.target), self.configuration(kernel)
            used, chunk = resources_of(compiled, self.target), (chosen.chunk,)
            matrix = matrix_instruction(compiled)
            rows.append(KernelResources(kernel, self.target.name, chunk, chunk, chosen, used, matrix))
        return resources_table(rows)
