"""The Triton backend: kernels of one pattern, head size and type, on tensors that have been checked.

The backward kernels are printed and compiled when the first gradient is asked for. `TRITON_INTERPRET=1` runs
the same kernels on CPU tensors.
"""

from __future__ import annotations

import math
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from attndsl.codegen.listing import print_program
from attndsl.codegen.tile_ir import Side
from attndsl.codegen.triton import PrintedKernel
from attndsl.codegen.triton_configuration import Configuration, Direction
from attndsl.ir.bound import BoundIR
from attndsl.runtime.checks import output_type
from attndsl.runtime.kernels import Inputs, Saved, Wanted
from attndsl.runtime.triton_device import cache_bytes, current_target
from attndsl.runtime.triton_launch import Call, LoadedKernel, describable
from attndsl.runtime.triton_problem import Printer, Problem
from attndsl.runtime.triton_tuned import stored
from attndsl.schedule.schedule import Schedule
from attndsl.stages import dump, report

CACHE_SHARE = 0.5
"""How much of the second-level cache the heads that run together may fill with what they share."""

SMALLEST_SCALE = 2.0**-64


def compile_triton(
    ir: BoundIR,
    schedule: Schedule | None,
    head_dim: int,
    value_dim: int,
    dtype: torch.dtype,
    chosen: dict[Direction, Configuration] | None = None,
) -> TritonKernels:
    """The kernels of a bound pattern for the current GPU; the forward kernel is loaded.

    schedule: the tiles to use; chosen to suit each kernel if None. chosen: how to build kernels, by default
    as autotuning found, or as a table says. Raises AttnBackendError A0710 without Triton, A0711 for sizes and
    types that there are no kernels for, A0714 without a GPU.
    """
    problem = Problem(ir, head_dim, value_dim, dtype, current_target(), schedule)
    kernels = TritonKernels(problem, chosen or stored(problem))
    if ir.query_space.size and ir.key_space.size:
        kernels.load("forward", kernels.choices("forward")[0])
    return kernels


class TritonKernels:
    """See `Kernels`. chosen: how to build kernels, in place of the defaults. Safe to call from threads."""

    def __init__(self, problem: Problem, chosen: dict[Direction, Configuration] | None = None) -> None:
        self.ir = problem.ir
        self.problem = problem
        self.printer = Printer(problem)
        self._chosen = dict(chosen or {})
        self._loaded: dict[tuple[Direction, Configuration], LoadedKernel] = {}
        self._settled: dict[Direction, LoadedKernel] = {}
        self._lock = threading.RLock()

    def forward(self, scale: float, inputs: Inputs, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """See `Kernels`. The output of 8-bit tensors is bfloat16."""
        out = torch.empty((*q.shape[:3], v.shape[3]), dtype=output_type(q.dtype), device=q.device)
        lse = torch.empty(q.shape[:3], dtype=torch.float32, device=q.device)
        if not k.shape[2]:
            return out.zero_(), lse.fill_(-math.inf)
        if out.numel():
            q, scale = with_positive_scale(q, scale)
            self._run("forward", {"q": q, "k": k, "v": v, "out": out, "lse": lse}, inputs, scale)
        return out, lse

    def backward(
        self,
        scale: float,
        inputs: Inputs,
        saved: Saved,
        out_gradient: Tensor,
        lse_gradient: Tensor,
        wanted: Wanted,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Kernels`."""
        q, k, v, lse = saved.q, saved.k, saved.v, saved.lse
        dq, dk, dv = wanted.empty(saved)
        if not (q.numel() and k.numel()):
            return dq.zero_(), dk.zero_(), dv.zero_()
        given = {"lse": lse, "out_gradient": out_gradient, "delta": torch.empty_like(lse)}
        self._run("delta", {**given, "out": saved.out, "lse_gradient": lse_gradient}, inputs)
        given |= {"q": q, "k": k, "v": v}
        if wanted.q:
            self._run("dq", {**given, "q_gradient": dq}, inputs, scale)
        if wanted.kv:
            self._run("dk_dv", {**given, "k_gradient": dk, "v_gradient": dv}, inputs, scale)
        return dq, dk, dv

    def choices(self, direction: Direction) -> list[Configuration]:
        """How a kernel may be built, in the order to try."""
        return [self._chosen[direction]] if direction in self._chosen else self.printer.defaults(direction)

    def schedule(self, direction: Direction) -> Schedule:
        """The tiles of a kernel: of the one in use, before its first call of the first choice."""
        kernel = self._settled.get(direction) or self.load(direction, self.choices(direction)[0])
        return kernel.schedule

    def load(self, direction: Direction, chosen: Configuration) -> LoadedKernel:
        """One of the kernels, printed when first asked for."""
        with self._lock:
            if (direction, chosen) not in self._loaded:
                printed = self.printer.print(direction, chosen)
                self._tell(printed)
                self._loaded[direction, chosen] = LoadedKernel(printed, self.printer.schedule(chosen))
            return self._loaded[direction, chosen]

    def _tell(self, printed: PrintedKernel) -> None:
        """Report and dump a kernel, where the settings ask for it."""
        problem, program = self.problem, printed.program
        name = f"{self.ir.name}_{problem.element}_d{problem.head_dim}_{program.name}"
        report("kernel", name, lambda: f"{printed.source.count(chr(10)):,} lines of Triton")
        dump(f"{name}.tile-ir.txt", lambda: print_program(program))
        dump(f"{name}.py", lambda: printed.source)

    def run(self, kernel: LoadedKernel, tensors: dict[str, Tensor], inputs: Inputs, *scale: float) -> None:
        """Launch a kernel of this problem."""
        with _on_device_of(tensors):
            kernel.launch(self._call(kernel, tensors, inputs, *scale))

    def _run(self, direction: Direction, tensors: dict[str, Tensor], inputs: Inputs, *scale: float) -> None:
        readable = {name: each.resolve_neg() if each.is_neg() else each for name, each in tensors.items()}
        kernel = self._settled.get(direction) or self._settle(direction, readable, inputs, *scale)
        if not all(describable(readable[name]) for name in kernel.kernel.boxes):
            kernel = self.load(direction, _without_descriptors(kernel.kernel.configuration))
        self.run(kernel, readable, inputs, *scale)

    def _settle(
        self, direction: Direction, tensors: dict[str, Tensor], inputs: Inputs, *scale: float
    ) -> LoadedKernel:
        """The first choice that spills no registers, else the last."""
        *preferred, last = (self.load(direction, each) for each in self.choices(direction))
        with self._lock, _on_device_of(tensors):
            if direction not in self._settled:
                fitting = (k for k in preferred if not k.spills(self._call(k, tensors, inputs, *scale)))
                self._settled[direction] = next(fitting, last)
            return self._settled[direction]

    def _call(self, kernel: LoadedKernel, tensors: dict[str, Tensor], inputs: Inputs, *scale: float) -> Call:
        first = next(iter(tensors.values()))
        owner = kernel.kernel.program.owner
        call: dict[str, Any] = dict(tensors)
        if inputs:
            call |= kernel.refined({name: value.to(first.device) for name, value in inputs.items()})
        call["batch_heads"] = len(first) * (self.ir.heads if owner == "q" else self.ir.kv_heads)
        call["heads_together"] = self._heads_together(first.device, owner)
        return {**call, "scale": scale[0]} if scale else call

    def _heads_together(self, device: torch.device, owner: Side) -> int:
        """The heads whose visited tensors fit into the cache together, a whole number of groups."""
        problem, group = self.problem, self.ir.heads // self.ir.kv_heads
        tokens = self.ir.key_space.size if owner == "q" else self.ir.query_space.size * group
        needed = tokens * (problem.head_dim + problem.value_dim) * problem.dtype.itemsize
        return max(1, int(CACHE_SHARE * cache_bytes(device)) // needed) * (group if owner == "q" else 1)


def with_positive_scale(q: Tensor, scale: float) -> tuple[Tensor, float]:
    """Queries and a positive scale with the same products: what the kernels expect."""
    if scale >= SMALLEST_SCALE:
        return q, scale
    return (-q, -scale) if scale <= -SMALLEST_SCALE else (q * scale, 1.0)


def _without_descriptors(chosen: Configuration) -> Configuration:
    """The configuration for tensors that descriptors cannot cover."""
    return replace(chosen, loads="pointers", specialize=False, warps=max(chosen.warps, 8))


def _on_device_of(tensors: dict[str, Tensor]) -> AbstractContextManager[Any]:
    first = next(iter(tensors.values()))
    return torch.cuda.device(first.device) if first.is_cuda else nullcontext()
