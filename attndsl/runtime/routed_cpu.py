"""C++ kernels that are given their tiles and block maps with the call."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ctypes import c_float, c_int64
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attndsl.codegen.cpp import entry_point, print_kernel
from attndsl.codegen.listing import print_program
from attndsl.codegen.programs import program_of
from attndsl.codegen.slotted import slotted
from attndsl.codegen.standalone import standalone
from attndsl.diagnostics import AttnBackendError
from attndsl.ir.bound import BoundIR, input_sizes
from attndsl.runtime.build import load_kernel
from attndsl.runtime.call import Array, CBlockMap, CCall, c_block_map
from attndsl.runtime.cpu import Kernel
from attndsl.runtime.kernels import Inputs, Saved
from attndsl.runtime.routed_mask import StaticMask
from attndsl.runtime.routed_tiles import TokenTiles
from attndsl.runtime.threads import threads_for
from attndsl.schedule.block_map import BlockMap
from attndsl.stages import dump

KEPT = 64
"""Patterns and sizes whose kernels are remembered."""


@dataclass(frozen=True)
class Fit:
    """What kernels are compiled for.

    slotted: whether tokens may stand in several tiles. listed: whether calls say which pairs are listed.
    """

    q_tile: int
    kv_tile: int
    head_dim: int
    value_dim: int
    dtype: torch.dtype
    slotted: bool
    listed: bool = False


@lru_cache(KEPT)
def programs(ir: BoundIR, fit: Fit) -> CpuPrograms:
    """The kernels of a pattern; compiled when they are first asked for."""
    return CpuPrograms(ir, fit)


class CpuPrograms:
    """The compiled programs of a pattern for tiles of some size. Safe to call from many threads."""

    def __init__(self, ir: BoundIR, fit: Fit) -> None:
        self.ir, self.fit = ir, fit
        self.mask = StaticMask(ir)
        self.needs_coordinates = not self.mask.shows_all or any(region.terms for region in ir.regions)
        self._schedule = self.mask.schedule(fit.q_tile, fit.kv_tile)
        self._kernels: dict[str, Kernel] = {}

    def load(self, *names: str) -> None:
        """Compile programs side by side, before they run."""
        new = [name for name in names if name not in self._kernels]
        if new:
            with ThreadPoolExecutor(len(new)) as pool:
                self._kernels |= dict(zip(new, pool.map(self._compile, new), strict=True))

    def _compile(self, name: str) -> Kernel:
        fit, program = self.fit, program_of(self.ir, name)
        if fit.slotted:
            program = slotted(program)
        dtype = str(fit.dtype).removeprefix("torch.")
        source = print_kernel(program, self._schedule, fit.head_dim, fit.value_dim, dtype, fit.listed)
        file = f"{self.ir.name}_{dtype}_d{fit.head_dim}_routed_{name}"
        dump(f"{file}.tile-ir.txt", lambda: print_program(program))
        return Kernel.of(program, load_kernel(standalone(source), file, entry_point(program)))

    def run(
        self, name: str, call: CCall, tensors: Mapping[str, Tensor], scale: float, inputs: Inputs
    ) -> None:
        """Run a program that has been loaded. tensors: [batch, heads, tokens, channels] by name."""
        kernel = self._kernels[name]
        given = [tensors[name] for name in kernel.tensors]
        addresses = [n for t in given for n in (t.data_ptr(), *t.stride(), *([0] if t.ndim == 3 else []))]
        data = [n for name, t in inputs.items() for n in (t.data_ptr(), self._batch_stride(name, t))]
        tensor_array = (c_int64 * len(addresses))(*addresses)
        argument_array = (c_float * 1)(scale)
        input_array = (c_int64 * len(data))(*data)
        call.tensors = ctypes.addressof(tensor_array)
        call.arguments = ctypes.addressof(argument_array)
        call.inputs = ctypes.addressof(input_array)
        if kernel.function(ctypes.addressof(call)):
            raise AttnBackendError(
                "A0705", f"not enough memory for the packed tiles of `{self.ir.name}`",
                help="use fewer tokens per call",
            )  # fmt: skip

    def run_on_head(
        self, name: str, place: tuple[int, int], sides: tuple[TokenTiles, TokenTiles], found: BlockMap,
        tensors: Mapping[str, Tensor], scale: float, inputs: Inputs, listed: Array | None = None,
    ) -> None:  # fmt: skip
        """Run a program with tiles of queries and keys of its own on one head; see `of_head` and `as_slots`.

        place: batch element and query head. found: the map whose rows are q tiles. Tiles without slots of
        their own have their tokens for slots.
        """
        (batch, head), (queries, keys), heads = place, sides, self.ir.heads
        owners, others = (keys, queries) if name == "dk_dv" else (queries, keys)
        maps = c_maps([found.transpose() if name == "dk_dv" else found], owners, others)
        of_head = np.zeros(heads, dtype=np.int32)
        structs = [each.struct(self.needs_coordinates) for each in sides]
        for each in structs:
            each.slots = each.slots or each.tokens
        call = CCall(
            queries=structs[0], keys=structs[1], maps=maps.address, map_of_head=of_head.ctypes.data,
            heads=heads, kv_heads=heads, batches=batch + 1, first_pair=batch * heads + head, pairs=1,
            threads=threads_for(len(owners.counts)), listed=None if listed is None else listed.ctypes.data,
        )  # fmt: skip
        self.run(name, call, tensors, scale, inputs)

    def of_head(self, head: int, **tensors: Tensor) -> dict[str, Tensor]:
        """The tensors of the kv head that a query head uses, for all heads."""
        kv_head = head // (self.ir.heads // self.ir.kv_heads)
        return {
            name: each[:, kv_head : kv_head + 1].expand(-1, self.ir.heads, -1, -1)
            for name, each in tensors.items()
        }

    def _batch_stride(self, name: str, value: Tensor) -> int:
        """0 for an input that all batch elements share."""
        return value.stride(0) if value.ndim > len(input_sizes(self.ir, name)) else 0


def as_slots(**tensors: Tensor) -> dict[str, Tensor]:
    """Tensors [slots, channels] as kernels take them."""
    return {name: each[None, None] for name, each in tensors.items()}


@dataclass(frozen=True, eq=False)
class CMaps:
    """Block maps in C, and the arrays that they point to."""

    structs: Any
    arrays: list[Array]

    @property
    def address(self) -> int:
        """Where the structs are."""
        return ctypes.addressof(self.structs)


def c_maps(maps: Sequence[BlockMap], owners: TokenTiles, visited: TokenTiles) -> CMaps:
    """Block maps in C. Their rows are tiles of the owner."""
    arrays: list[Array] = []
    counts = owners.counts.astype(np.int64), visited.counts.astype(np.int64)
    structs = (CBlockMap * len(maps))(*(c_block_map(each, *counts, arrays) for each in maps))
    return CMaps(structs, arrays)


def delta_of(ir: BoundIR, saved: Saved, out_gradient: Tensor, lse_gradient: Tensor) -> Tensor:
    """As `codegen/backward.delta`."""
    nothing = saved.lse == (-torch.inf if ir.weighting.is_softmax else 0.0)
    products = (out_gradient.float() * saved.out.float()).sum(-1)
    return (products - lse_gradient).masked_fill_(nothing, 0.0)
