"""The CPU backend: C++ kernels of one schedule, head size and type, on tensors that have been checked.

The backward kernels are printed and built when the first gradient is asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor

from attndsl.codegen.cpp import entry_point, padded, print_kernel
from attndsl.codegen.listing import print_program
from attndsl.codegen.programs import program_of
from attndsl.codegen.standalone import standalone
from attndsl.codegen.tile_ir import Program, Side
from attndsl.diagnostics import AttnBackendError
from attndsl.ir.bound import input_sizes
from attndsl.runtime.build import Function, load_kernel
from attndsl.runtime.call import Maps, PreparedCall, block_maps
from attndsl.runtime.kernels import Inputs, Saved, Wanted
from attndsl.runtime.threads import threads_for
from attndsl.schedule.schedule import Schedule
from attndsl.stages import dump

REFINED = 8
"""Refined schedules that are remembered: layers of a model share their inputs."""

FEW_PAIRS = 64
"""Pairs of tiles up to which refinement would take longer than what it saves."""

FEW_PAIRS_OF_ELEMENT = 4096
"""The same where each element of a batch has inputs of its own, and so maps of its own, of all heads."""

MOST_PACKED = 2**28
"""Bytes that all threads together may pack when each of them works on heads of its own."""


@dataclass(frozen=True)
class Kernel:
    """A program as a function. tensors: names in the order of its arguments."""

    function: Function
    owner: Side
    tensors: tuple[str, ...]
    scales: bool

    @classmethod
    def of(cls, program: Program, function: Function) -> Kernel:
        """The kernel of a printed program."""
        names = tuple(tensor.name for tensor in program.inputs + program.outputs)
        return cls(function, program.owner, names, bool(program.arguments))


class CpuKernels:
    """See `Kernels`. Safe to call from many threads."""

    def __init__(self, schedule: Schedule, head_dim: int, value_dim: int, dtype: torch.dtype) -> None:
        self.schedule = schedule
        self.ir = schedule.ir
        self.head_dim, self.value_dim, self.dtype = head_dim, value_dim, dtype
        self._kernels: dict[str, Kernel] = {}
        self._prepared: dict[Side, PreparedCall] = {"q": PreparedCall.of(schedule)}
        self._refined: OrderedDict[object, dict[Side, Maps]] = OrderedDict()
        self._load([program_of(self.ir, "forward")])

    def forward(self, scale: float, inputs: Inputs, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """See `Kernels`."""
        out = torch.empty((*q.shape[:3], v.shape[3]), dtype=self.dtype)
        lse = torch.empty(q.shape[:3], dtype=torch.float32)
        if out.numel():
            tensors = {"q": q, "k": k, "v": v, "out": out, "lse": lse}
            self._run(self._kernels["forward"], tensors, inputs, scale)
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
        dq, dk, dv = wanted.empty(saved)
        if not (saved.q.numel() and saved.k.numel()):
            return dq.zero_(), dk.zero_(), dv.zero_()
        if out_gradient.stride(3) != 1:  # as of expanded tensors: reading it often would be slow
            out_gradient = out_gradient.contiguous()
        tensors = {
            "q": saved.q, "k": saved.k, "v": saved.v, "out": saved.out, "lse": saved.lse,
            "out_gradient": out_gradient, "lse_gradient": lse_gradient, "delta": torch.empty_like(saved.lse),
            "q_gradient": dq, "k_gradient": dk, "v_gradient": dv,
        }  # fmt: skip
        for kernel in self._load(self._backward_programs(wanted, len(saved.q))):
            self._run(kernel, tensors, inputs, scale)
        return dq, dk, dv

    def _backward_programs(self, wanted: Wanted, batches: int) -> list[Program]:
        if wanted.q and wanted.kv and self._has_heads_for_all_threads(batches):
            names = ["delta", "dq_dk_dv"]
        else:
            names = ["delta", *(["dq"] if wanted.q else []), *(["dk_dv"] if wanted.kv else [])]
        return [program_of(self.ir, name) for name in names]

    def _has_heads_for_all_threads(self, batches: int) -> bool:
        tiles = self.schedule.q_tiling.tiles * self.ir.heads // self.ir.kv_heads
        numbers = padded(self.schedule.q_tiling.capacity) * (2 * self.head_dim + self.value_dim + 2)
        return heads_for_all_threads(batches * self.ir.kv_heads, tiles, numbers)

    def _run(self, kernel: Kernel, tensors: Mapping[str, Tensor], inputs: Inputs, scale: float) -> None:
        given = [tensors[name] for name in kernel.tensors]
        given = [tensor.resolve_neg() if tensor.is_neg() else tensor for tensor in given]
        addresses = [n for t in given for n in (t.data_ptr(), *t.stride(), *([0] if t.ndim == 3 else []))]
        data = [n for name, t in inputs.items() for n in (t.data_ptr(), self._batch_stride(name, t))]
        maps = (
            self._refined_maps(inputs, kernel.owner)
            if self.ir.mask_inputs and not self._is_small(inputs)
            else None
        )
        tiling = self.schedule.q_tiling if kernel.owner == "q" else self.schedule.kv_tiling
        batches = len(given[0])
        threads = threads_for(batches * self.ir.heads * tiling.tiles)
        arguments = (scale,) if kernel.scales else ()
        call = self._prepared_call(kernel.owner)
        if call.run(kernel.function, addresses, arguments, batches, threads, data, maps):
            raise AttnBackendError(
                "A0705", f"not enough memory for the packed tiles of `{self.ir.name}`",
                help="use fewer tokens per call",
            )  # fmt: skip

    def _batch_stride(self, name: str, value: Tensor) -> int:
        """0 for an input that all batch elements share."""
        return value.stride(0) if value.ndim > len(input_sizes(self.ir, name)) else 0

    def _is_small(self, inputs: Inputs) -> bool:
        """Whether visiting all tiles takes less time than refinement, which goes element by element."""
        pairs = self.schedule.q_tiling.tiles * self.schedule.kv_tiling.tiles
        of_elements = any(self._batch_stride(each.name, inputs[each.name]) for each in self.ir.mask_inputs)
        return pairs <= FEW_PAIRS or (of_elements and pairs * self.ir.heads <= FEW_PAIRS_OF_ELEMENT)

    def _prepared_call(self, owner: Side) -> PreparedCall:
        if owner not in self._prepared:
            self._prepared[owner] = self._prepared["q"].transposed(self.schedule)
        return self._prepared[owner]

    def _load(self, programs: Sequence[Program]) -> list[Kernel]:
        """The kernels of programs; those that are new are compiled side by side."""
        new = [program for program in programs if program.name not in self._kernels]
        if new:
            with ThreadPoolExecutor(len(new)) as pool:
                kernels = zip(new, pool.map(self._compile, new), strict=True)
                self._kernels |= {program.name: Kernel.of(program, function) for program, function in kernels}
        return [self._kernels[program.name] for program in programs]

    def _compile(self, program: Program) -> Function:
        dtype = str(self.dtype).removeprefix("torch.")
        source = print_kernel(program, self.schedule, self.head_dim, self.value_dim, dtype)
        name = f"{self.ir.name}_{dtype}_d{self.head_dim}_{program.name}"
        dump(f"{name}.tile-ir.txt", lambda: print_program(program))
        return load_kernel(standalone(source), name, entry_point(program))

    def _refined_maps(self, inputs: Inputs, owner: Side) -> Maps:
        """Block maps narrowed by what the inputs hold, one schedule per batch element if they differ."""
        arrays = {each.name: inputs[each.name].numpy() for each in self.ir.mask_inputs}
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


def heads_for_all_threads(pairs: int, tiles: int, numbers: int) -> bool:
    """Whether 5 products of tiles, each kv head on one thread, take less time than 7 on all threads.

    pairs: of batch elements and kv heads. tiles: of queries that share a kv head. numbers: packed per tile.
    """
    threads = threads_for(pairs)
    rounds = -(-pairs // threads)
    fits = 4 * threads * tiles * numbers <= MOST_PACKED
    return fits and 5 * rounds * threads_for(pairs * tiles) <= 7 * pairs
