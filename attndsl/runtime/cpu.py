"""The CPU backend: C++ kernels of one schedule, head size and type, on tensors that have been checked.

The backward kernels are printed and built when the first gradient is asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from hashlib import blake2b

import torch
from torch import Tensor

from attndsl.codegen.backward import delta, dk_dv, dq
from attndsl.codegen.cpp import entry_point, print_kernel
from attndsl.codegen.forward import forward
from attndsl.codegen.standalone import standalone
from attndsl.codegen.tile_ir import Program, Side
from attndsl.diagnostics import AttnBackendError
from attndsl.runtime.build import Function, load_kernel
from attndsl.runtime.call import Maps, PreparedCall, block_maps
from attndsl.runtime.kernels import Inputs, Saved, Wanted
from attndsl.runtime.threads import threads_for
from attndsl.schedule.schedule import Schedule

REFINED = 8
"""Refined schedules that are remembered: as many as sequences of inputs may alternate, as layers do."""


class CpuKernels:
    """See `Kernels`. Safe to call from many threads."""

    def __init__(self, schedule: Schedule, head_dim: int, value_dim: int, dtype: torch.dtype) -> None:
        self.schedule = schedule
        self.ir = schedule.ir
        self.head_dim, self.value_dim, self.dtype = head_dim, value_dim, dtype
        self._forward = self._load(forward())
        self._prepared: dict[Side, PreparedCall] = {"q": PreparedCall.of(schedule)}
        self._refined: OrderedDict[object, dict[Side, Maps]] = OrderedDict()

    def forward(self, scale: float, inputs: Inputs, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """See `Kernels`."""
        out = torch.empty((*q.shape[:3], v.shape[3]), dtype=self.dtype)
        lse = torch.empty(q.shape[:3], dtype=torch.float32)
        if out.numel():
            self._run(self._forward, "q", (q, k, v, out, lse), inputs, scale)
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
        if out_gradient.stride(3) != 1:  # as of expanded tensors: reading it often would be slow
            out_gradient = out_gradient.contiguous()
        deltas = torch.empty_like(lse)
        delta_, dq_, dk_dv_ = self._backward
        self._run(delta_, "q", (saved.out, lse, out_gradient, lse_gradient, deltas), inputs)
        given = (q, k, v, lse, out_gradient, deltas)
        if wanted.q:
            self._run(dq_, "q", (*given, gradients[0]), inputs, scale)
        if wanted.kv:
            self._run(dk_dv_, "kv", (*given, *gradients[1:]), inputs, scale)
        return gradients[0], gradients[1], gradients[2]

    def _run(
        self, function: Function, owner: Side, tensors: Sequence[Tensor], inputs: Inputs, *arguments: float
    ) -> None:
        readable = [tensor.resolve_neg() if tensor.is_neg() else tensor for tensor in tensors]
        addresses = [n for t in readable for n in (t.data_ptr(), *t.stride(), *([0] if t.ndim == 3 else []))]
        given = [n for t in inputs.values() for n in (t.data_ptr(), t.stride(0) if t.ndim == 2 else 0)]
        maps = self._refined_maps(inputs, owner) if inputs else None
        batches = len(tensors[0])
        tiling = self.schedule.q_tiling if owner == "q" else self.schedule.kv_tiling
        threads = threads_for(batches * self.ir.heads * tiling.tiles)
        if self._call(owner).run(function, addresses, arguments, batches, threads, given, maps):
            raise AttnBackendError(
                "A0705", f"not enough memory for the packed tiles of `{self.ir.name}`",
                help="use fewer tokens per call",
            )  # fmt: skip

    def _call(self, owner: Side) -> PreparedCall:
        if owner not in self._prepared:
            self._prepared[owner] = self._prepared["q"].transposed(self.schedule)
        return self._prepared[owner]

    def _load(self, program: Program) -> Function:
        dtype = str(self.dtype).removeprefix("torch.")
        source = print_kernel(program, self.schedule, self.head_dim, self.value_dim, dtype)
        name = f"{self.ir.name}_{dtype}_d{self.head_dim}_{program.name}"
        return load_kernel(standalone(source), name, entry_point(program))

    @cached_property
    def _backward(self) -> list[Function]:
        """The kernels `delta`, `dq` and `dk_dv`, compiled side by side."""
        with ThreadPoolExecutor() as pool:
            return list(pool.map(self._load, (delta(), dq(), dk_dv())))

    def _refined_maps(self, inputs: Inputs, owner: Side) -> Maps:
        """Block maps narrowed by what the inputs hold, one schedule per batch element if they differ."""
        arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
        key = tuple((array.shape, blake2b(array.data).digest()) for array in arrays.values())
        known = self._refined.setdefault(key, {})
        if owner not in known:
            batches = {len(array) for array in arrays.values() if array.ndim == 2}
            elements = range(batches.pop() if batches else 1)
            rows = [{name: a[b] if a.ndim == 2 else a for name, a in arrays.items()} for b in elements]
            known[owner] = block_maps([self.schedule.refine(each) for each in rows], owner)
        if len(self._refined) > REFINED:
            self._refined.popitem(last=False)
        return known[owner]


def _like(tensor: Tensor, wanted: bool) -> Tensor:
    """A new contiguous tensor for a gradient; an empty one if it is not wanted."""
    return torch.empty(tensor.shape if wanted else 0, dtype=tensor.dtype)
