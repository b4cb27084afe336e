"""What computes the insides of groups: the kernels of a pattern whose tokens' positions are data."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

from torch import Tensor

from attndsl.ir.bound import BoundIR
from attndsl.passes.inside_group import inside_group
from attndsl.runtime.checks import check_tensors
from attndsl.runtime.compile import compile_attention
from attndsl.runtime.compiled import CompiledAttention
from attndsl.runtime.targets import describe, mask_inputs_of, rank_in, register
from attndsl.schedule.build import build

KEPT = 64
"""Patterns and sizes of groups that are remembered."""


@lru_cache(KEPT)
def group_target(ir: BoundIR, queries: int, keys: int) -> GroupTarget:
    """What computes groups of so many queries and keys. ir: of pairs only."""
    return GroupTarget(inside_group(ir, queries, keys))


class GroupTarget:
    """See `Target`. Safe to call from many threads."""

    def __init__(self, ir: BoundIR) -> None:
        self.ir = ir
        self.key = register(self, ir.name, "group", describe(ir))
        self._kernels: dict[object, CompiledAttention] = {}

    @property
    def mask_inputs(self) -> frozenset[str]:
        """See `Target`."""
        return mask_inputs_of(self.ir)

    def rank_of(self, name: str) -> int:
        """See `Target`."""
        return rank_in(self.ir, name)

    def kernel_for(self, q: Tensor, k: Tensor, v: Tensor, shape: Sequence[int] = ()) -> CompiledAttention:
        """The kernel for tensors of these types and sizes, compiled when first asked for."""
        fit = q.shape[3], v.shape[3], q.dtype, q.device.type
        if fit not in self._kernels:
            self._kernels[fit] = compile_attention(
                self.ir, partial(build, self.ir), backend="auto", head_dim=fit[0], value_dim=fit[1],
                dtype=fit[2], device=fit[3],
            )  # fmt: skip
        return self._kernels[fit]

    def check_tensors(self, q: Tensor, k: Tensor, v: Tensor) -> None:
        """Raise AttnCallError (A06xx) for tensors that do not fit."""
        check_tensors(self.ir, q, k, v)
