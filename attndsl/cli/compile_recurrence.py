"""`attndsl compile --target sm90` and the like for patterns in linear time: kernels of their recurrence."""

from __future__ import annotations

from dataclasses import dataclass

from attndsl.codegen.listing import print_program
from attndsl.codegen.recurrence import RECURRENCES, Decay
from attndsl.codegen.triton import PrintedKernel
from attndsl.codegen.triton_configuration import Direction
from attndsl.codegen.triton_recurrence import print_recurrence
from attndsl.codegen.triton_recurrence_configuration import RecurrenceConfiguration, recurrence_default
from attndsl.codegen.triton_targets import Target
from attndsl.diagnostics import AttnBackendError
from attndsl.ir.bound import BoundIR, decays_by_channel

DTYPES = ("float32", "bfloat16", "float16")
MOST_CHANNELS = 256
KERNELS: tuple[Direction, ...] = ("forward", "dq", "dk_dv")


def is_recurrence(ir: BoundIR, emit: str) -> bool:
    """Whether a stage of a pattern is one of its recurrence; its schedule is that of tiles in any case."""
    return ir.linear is not None and ir.linear.algorithm == "recurrence" and emit != "schedule"


def recurrence_stage(
    ir: BoundIR, target: Target, emit: str, head_dim: int, dtype: str, kernel: Direction, standalone: bool
) -> str:
    """A stage of a kernel of a recurrence. dtype: torch's name.

    Raises AttnBackendError A0711 for types and sizes that there are no kernels for, A0726 for other kernels.
    """
    if kernel not in KERNELS or standalone:
        raise AttnBackendError(
            "A0726",
            f"`{ir.name}` runs as a recurrence, whose kernels are forward, dq and dk_dv, none standing alone",
            help="leave out --standalone, and use one of these kernels",
        )
    if dtype not in DTYPES or head_dim > MOST_CHANNELS:
        raise AttnBackendError(
            "A0711",
            f"kernels of recurrences compute {', '.join(DTYPES)} with at most {MOST_CHANNELS} channels",
            help="use --dtype fp32, bf16 or fp16, and fewer channels",
        )
    kernels = _Kernels(ir, target, head_dim, dtype)
    match emit:
        case "tile-ir":
            chunk = kernels.configuration(kernel).chunk
            return print_program(RECURRENCES[f"recurrence_{kernel}"](kernels.decay, chunk))
        case "resources":
            return kernels.resources()
        case "asm":
            from attndsl.runtime.triton_target import cross_compile

            compiled = cross_compile(kernels.print(kernel), target)
            return str(compiled.asm.get("ptx") or compiled.asm["amdgcn"])
    return kernels.print(kernel).source


@dataclass(frozen=True)
class _Kernels:
    """The kernels as calls take them."""

    ir: BoundIR
    target: Target
    head_dim: int
    dtype: str

    @property
    def decay(self) -> Decay:
        """The kind of decay: documents forget by steps of their own."""
        if decays_by_channel(self.ir):
            return "channel"
        forgets = self.ir.linear is not None and self.ir.linear.documents
        return "token" if self.ir.weighting.decay is not None or forgets else "none"

    @property
    def divides(self) -> bool:
        """Whether weights are divided by their sum: one more channel of values, and float32."""
        return self.ir.weighting.normalize == "sum"

    @property
    def sizes(self) -> tuple[int, int, str]:
        """Channels of keys and of values, and the type of tensors."""
        return self.head_dim, self.head_dim + self.divides, "float32" if self.divides else self.dtype

    def configuration(self, kernel: Direction) -> RecurrenceConfiguration:
        """How a kernel is built."""
        return recurrence_default(self.target, f"recurrence_{kernel}", self.decay, *self.sizes)

    def print(self, kernel: Direction) -> PrintedKernel:
        """A kernel."""
        return print_recurrence(f"recurrence_{kernel}", self.decay, *self.sizes, self.configuration(kernel))

    def resources(self) -> str:
        """What all kernels use, as a table."""
        from attndsl.runtime.triton_resources import KernelResources, matrix_instruction, resources_table
        from attndsl.runtime.triton_target import cross_compile, resources_of

        rows = []
        for kernel in KERNELS:
            compiled, chosen = cross_compile(self.print(kernel), self.target), self.configuration(kernel)
            used, chunk = resources_of(compiled, self.target), (chosen.chunk,)
            matrix = matrix_instruction(compiled)
            rows.append(KernelResources(kernel, self.target.name, chunk, chunk, chosen, used, matrix))
        return resources_table(rows)
