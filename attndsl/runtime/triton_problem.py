"""What Triton kernels are compiled for, and the kernels printed for it: each with tiles that suit it."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import torch

from attndsl.codegen.programs import program_of
from attndsl.codegen.triton import PrintedKernel, print_kernel
from attndsl.codegen.triton_configuration import Configuration, Direction, cost_model, defaults
from attndsl.codegen.triton_targets import Target
from attndsl.diagnostics import AttnBackendError
from attndsl.ir.bound import BoundIR
from attndsl.runtime.checks import EIGHT_BIT
from attndsl.schedule.build import build
from attndsl.schedule.schedule import Schedule

MOST_CHANNELS = 256
TYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Problem:
    """A pattern, the sizes and type of its tensors, and a GPU. schedule: its tiles, where they are given."""

    ir: BoundIR
    head_dim: int
    value_dim: int
    dtype: torch.dtype
    target: Target
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        """Raises AttnBackendError A0711 for what there are no Triton kernels for."""
        largest = max(self.head_dim, self.value_dim)
        known = (*TYPES, "float8_e4m3fn") if self.target.fp8 else TYPES
        if largest > MOST_CHANNELS:
            raise AttnBackendError(
                "A0711", f"Triton kernels have at most {MOST_CHANNELS} channels, {largest} asked for",
                help="use backend='reference', or split the heads",
            )  # fmt: skip
        if self.element not in known:
            raise AttnBackendError(
                "A0711",
                f"Triton kernels for {self.target.name} compute {', '.join(known)}, not {self.element}",
                help="convert the tensors, or use backend='reference'",
            )

    @property
    def element(self) -> str:
        """The type's name."""
        return str(self.dtype).removeprefix("torch.")


class Printer:
    """Prints the kernels of a problem. Schedules are kept, since kernels share them."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._schedules: dict[tuple[int, int], Schedule] = {}
        self._lock = threading.Lock()

    def defaults(self, direction: Direction) -> list[Configuration]:
        """How a kernel is built unless asked otherwise, in the order to try."""
        problem = self.problem
        sizes = problem.head_dim, problem.value_dim
        return defaults(problem.target, direction, *sizes, problem.element)

    def schedule(self, chosen: Configuration) -> Schedule:
        """The schedule that a kernel is printed for."""
        if self.problem.schedule:
            return self.problem.schedule
        tokens = chosen.q_tokens, chosen.kv_tokens
        with self._lock:
            if tokens not in self._schedules:
                self._schedules[tokens] = build(self.problem.ir, model=cost_model(chosen))
            return self._schedules[tokens]

    def print(self, direction: Direction, chosen: Configuration) -> PrintedKernel:
        """One kernel. Raises AttnBackendError A0711 for backward kernels of 8-bit tensors."""
        problem = self.problem
        if problem.dtype == EIGHT_BIT and direction != "forward":
            raise AttnBackendError(
                "A0711", "8-bit tensors have a kernel for the forward pass only",
                help="convert the tensors to train, as with .to(torch.bfloat16)",
            )  # fmt: skip
        sizes = problem.head_dim, problem.value_dim
        program = program_of(problem.ir, direction)
        return print_kernel(program, self.schedule(chosen), *sizes, problem.element, chosen)
