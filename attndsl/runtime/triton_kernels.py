"""The Triton backend: kernels of one pattern, head size and type, on tensors that have been checked.

Each program has tiles of its own, chosen for the target. The backward kernels are printed and compiled when
the first gradient is asked for. `TRITON_INTERPRET=1` runs the same kernels on CPU tensors.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from attndsl.codegen.backward import delta, dk_dv, dq
from attndsl.codegen.forward import forward
from attndsl.codegen.tile_ir import Program
from attndsl.codegen.triton import print_kernel
from attndsl.codegen.triton_configuration import Configuration, Direction, configuration, cost_model
from attndsl.codegen.triton_targets import TARGETS, Target, target_of
from attndsl.diagnostics import AttnBackendError
from attndsl.ir.bound import BoundIR
from attndsl.runtime.kernels import Inputs, Saved, Wanted
from attndsl.runtime.triton_interpreter import interprets
from attndsl.runtime.triton_launch import LoadedKernel, describable
from attndsl.schedule.build import build
from attndsl.schedule.schedule import Schedule

PROGRAMS: dict[Direction, Callable[[], Program]] = {
    "forward": forward,
    "delta": delta,
    "dq": dq,
    "dk_dv": dk_dv,
}
MOST_CHANNELS = 256
L2_SHARE = 0.5
"""How much of the second-level cache the heads that run together may fill with what they share."""

SMALLEST_SCALE = 2.0**-64


@dataclass(frozen=True)
class Problem:
    """What kernels are compiled for. dtype: of q, k and v."""

    ir: BoundIR
    head_dim: int
    value_dim: int
    dtype: torch.dtype

    @property
    def element(self) -> str:
        """The type's name."""
        return str(self.dtype).removeprefix("torch.")


def compile_triton(
    ir: BoundIR,
    schedule: Schedule | None,
    head_dim: int,
    value_dim: int,
    dtype: torch.dtype,
    *,
    target: Target | None = None,
    chosen: Configuration | None = None,
) -> TritonKernels:
    """The kernels of a bound pattern; the forward kernel is ready, those of the backward pass follow.

    schedule: the tiles to use; chosen to suit the target if None. target: the GPU, by default the current one.
    chosen: how to build the forward kernel. Raises AttnBackendError A0710 without Triton, A0711 for sizes and
    types that there are no kernels for, A0714 without a GPU.
    """
    problem = Problem(ir, head_dim, value_dim, dtype)
    gpu = target or current_target()
    check_problem(problem, gpu)
    kernels = TritonKernels(problem, gpu, schedule, {"forward": chosen} if chosen else {})
    if ir.query_space.size and ir.key_space.size:
        kernels.kernel("forward")
    return kernels


def current_target() -> Target:
    """The GPU that tensors are on; in the interpreter, one that kernels are printed for all the same."""
    if interprets():
        return TARGETS["sm90"]
    if not torch.cuda.is_available():
        raise AttnBackendError(
            "A0714", "Triton kernels need a GPU, and torch finds none",
            help="use backend='cpu', or TRITON_INTERPRET=1 to run them slowly on the CPU",
        )  # fmt: skip
    return device_target(torch.cuda.current_device())


@cache
def device_target(device: int) -> Target:
    """The target of a GPU."""
    if torch.version.hip:
        return target_of("hip", torch.cuda.get_device_properties(device).gcnArchName)
    major, minor = torch.cuda.get_device_capability(device)
    return target_of("cuda", f"sm_{major}{minor}")


def check_problem(problem: Problem, target: Target) -> None:
    """Raises AttnBackendError A0711 for what there are no Triton kernels for."""
    largest = max(problem.head_dim, problem.value_dim)
    known = {"float32", "bfloat16", "float16"} | ({"float8_e4m3fn"} if target.fp8 else set())
    if largest > MOST_CHANNELS:
        raise AttnBackendError(
            "A0711", f"Triton kernels have at most {MOST_CHANNELS} channels, {largest} asked for",
            help="use backend='reference', or split the heads",
        )  # fmt: skip
    if problem.element not in known:
        raise AttnBackendError(
            "A0711", f"Triton kernels for {target.name} compute {', '.join(sorted(known))}, not {problem.element}",
            help="convert the tensors, or use backend='reference'",
        )  # fmt: skip


class TritonKernels:
    """See `Kernels`. Safe to call from many threads."""

    def __init__(
        self,
        problem: Problem,
        target: Target,
        schedule: Schedule | None = None,
        chosen: dict[Direction, Configuration] | None = None,
    ) -> None:
        self.problem = problem
        self.ir = problem.ir
        self.target = target
        self._given = schedule
        self._chosen = dict(chosen or {})
        self._schedules: dict[tuple[int, int], Schedule] = {}
        self._kernels: dict[tuple[Direction, Configuration], LoadedKernel] = {}
        self._lock = threading.RLock()

    def forward(self, scale: float, inputs: Inputs, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """See `Kernels`. The output of 8-bit tensors is bfloat16."""
        kind = torch.bfloat16 if q.dtype.itemsize == 1 else q.dtype
        out = torch.empty((*q.shape[:3], v.shape[3]), dtype=kind, device=q.device)
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
        gradients = [_like(q, wanted.q), _like(k, wanted.kv), _like(v, wanted.kv)]
        if not (q.numel() and k.numel()):
            return gradients[0].zero_(), gradients[1].zero_(), gradients[2].zero_()
        deltas = torch.empty_like(lse)
        given = {"q": q, "k": k, "v": v, "lse": lse, "out_gradient": out_gradient, "delta": deltas}
        first = {"out": saved.out, "lse": lse, "out_gradient": out_gradient, "lse_gradient": lse_gradient}
        self._run("delta", {**first, "delta": deltas}, inputs)
        if wanted.q:
            self._run("dq", {**given, "q_gradient": gradients[0]}, inputs, scale)
        if wanted.kv:
            outputs = {"k_gradient": gradients[1], "v_gradient": gradients[2]}
            self._run("dk_dv", {**given, **outputs}, inputs, scale)
        return gradients[0], gradients[1], gradients[2]

    def configuration(self, direction: Direction) -> Configuration:
        """How a kernel is built: as chosen, or by the table."""
        problem = self.problem
        sizes = problem.head_dim, problem.value_dim
        return self._chosen.get(direction) or configuration(self.target, direction, *sizes, problem.element)

    def schedule(self, chosen: Configuration) -> Schedule:
        """The schedule that a kernel is printed for."""
        if self._given:
            return self._given
        tokens = chosen.q_tokens, chosen.kv_tokens
        if tokens not in self._schedules:
            self._schedules[tokens] = build(self.ir, model=cost_model(chosen))
        return self._schedules[tokens]

    def kernel(self, direction: Direction, chosen: Configuration | None = None) -> LoadedKernel:
        """One of the kernels, printed and loaded when first asked for."""
        built = chosen or self.configuration(direction)
        known = self._kernels.get((direction, built))
        return known or self._load(direction, built)

    def _load(self, direction: Direction, built: Configuration) -> LoadedKernel:
        with self._lock:
            if (direction, built) not in self._kernels:
                problem = self.problem
                printed = print_kernel(
                    PROGRAMS[direction](), self.schedule(built), problem.head_dim, problem.value_dim,
                    problem.element, built,
                )  # fmt: skip
                self._kernels[direction, built] = LoadedKernel(printed, self.schedule(built))
            return self._kernels[direction, built]

    def _run(self, direction: Direction, tensors: dict[str, Tensor], inputs: Inputs, *scale: float) -> None:
        kernel = self.kernel(direction)
        ready = {name: each.resolve_neg() if each.is_neg() else each for name, each in tensors.items()}
        if kernel.kernel.boxes and not all(describable(ready[name]) for name in kernel.kernel.boxes):
            kernel = self.kernel(direction, without_descriptors(kernel.kernel.configuration))
        first = next(iter(ready.values()))
        call: dict[str, Any] = dict(ready)
        if inputs:
            call |= kernel.refined({name: value.to(first.device) for name, value in inputs.items()})
        if scale:
            call["scale"] = scale[0]
        heads = self.ir.kv_heads if kernel.kernel.program.owner == "kv" else self.ir.heads
        call["batch_heads"] = len(first) * heads
        call["heads_together"] = self._heads_together(first, kernel.kernel.program.owner)
        with torch.cuda.device(first.device) if first.is_cuda else nullcontext():
            kernel.launch(call)

    def _heads_together(self, like: Tensor, owner: str) -> int:
        """The heads whose visited tensors fit into the cache together, a whole number of groups."""
        group = self.ir.heads // self.ir.kv_heads
        channels = self.problem.head_dim + self.problem.value_dim
        tokens = self.ir.key_space.size if owner == "q" else self.ir.query_space.size * group
        fitting = int(L2_SHARE * _l2_bytes(like.device)) // (tokens * channels * self.problem.dtype.itemsize)
        return max(1, fitting) * (group if owner == "q" else 1)


def without_descriptors(chosen: Configuration) -> Configuration:
    """The configuration for tensors that descriptors cannot cover."""
    return replace(chosen, loads="pointers", specialize=False, warps=max(chosen.warps, 8))


def with_positive_scale(q: Tensor, scale: float) -> tuple[Tensor, float]:
    """Queries and a positive scale with the same products: what the kernels expect."""
    if scale >= SMALLEST_SCALE:
        return q, scale
    if scale <= -SMALLEST_SCALE:
        return -q, -scale
    return torch.zeros_like(q), 1.0


def _like(tensor: Tensor, wanted: bool) -> Tensor:
    """A new contiguous tensor for a gradient; an empty one if it is not wanted."""
    return torch.empty(tensor.shape if wanted else 0, dtype=tensor.dtype, device=tensor.device)


@cache
def _l2_bytes(device: torch.device) -> int:
    """The size of a GPU's second-level cache."""
    if device.type != "cuda":
        return 1 << 20
    return int(torch.cuda.get_device_properties(device).L2_cache_size)
