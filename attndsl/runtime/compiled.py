"""Compiled attention: the callable that a bound pattern turns into, with the kernels of one backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR, algorithm_of, needs_more
from attndsl.runtime.attend import attend
from attndsl.runtime.checks import check_kernel_inputs, check_scale, check_tensors
from attndsl.runtime.input_gradients import input_gradients
from attndsl.runtime.kernels import Kernels, Saved, Wanted
from attndsl.runtime.reference import Outputs
from attndsl.runtime.stateful import attend_with_state
from attndsl.runtime.targets import describe, mask_inputs_of, rank_in, register
from attndsl.schedule.build import build
from attndsl.schedule.schedule import Schedule


@dataclass(frozen=True)
class Fit:
    """The tensors that kernels are compiled for."""

    head_dim: int
    value_dim: int
    dtype: torch.dtype
    device: str

    def __str__(self) -> str:
        return f"head_dim {self.head_dim}, value_dim {self.value_dim}, {self.dtype} on {self.device}"


class CompiledAttention:
    """Kernels for one pattern, head size and type: call it as `Bound.__call__`.

    kernels: those of pairs of tokens. A recurrence, sums and plans of routes have others, which are made with
    the first call that needs them. fit: None where any head size, type and device will do. branches: the
    kernels of each branch, by name; the pattern has none of its own then. key: its name in graphs.
    """

    def __init__(
        self,
        ir: BoundIR,
        backend: str,
        kernels: Kernels,
        fit: Fit | None = None,
        branches: Mapping[str, CompiledAttention] | None = None,
    ) -> None:
        self.ir = ir
        self.branches = branches or {}
        self.backend = backend
        self.kernels = kernels
        self.fit = fit
        self.key = register(self, ir.name, backend, describe(ir), fit)

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, *,
        scale: float | None = None, return_lse: bool = False, initial_state: Tensor | None = None,
        return_state: bool = False, plan: Any = None, **inputs: Any,
    ) -> Outputs:  # fmt: skip
        """Output [batch, heads, Nq, Dv], and what else is asked for, as from `Bound.__call__`."""
        if initial_state is None and not return_state:
            return attend(self, q, k, v, scale, return_lse, inputs, plan=plan)
        return attend_with_state(self.ir, q, k, v, scale, return_lse, initial_state, return_state, inputs)

    @property
    def algorithm(self) -> str:
        """See `Bound.algorithm`."""
        return algorithm_of(self.ir)

    @property
    def mask_inputs(self) -> frozenset[str]:
        """See `Target`."""
        return mask_inputs_of(self.ir)

    def rank_of(self, name: str) -> int:
        """See `Target`."""
        return rank_in(self.ir, name)

    def around(self, q: Tensor, k: Tensor, shape: Sequence[int] = ()) -> BoundIR | None:
        """See `Target`."""
        return self.ir if needs_more(self.ir) else None

    def branch(self, name: str, q: Tensor, k: Tensor, shape: Sequence[int] = ()) -> CompiledAttention:
        """See `Target`."""
        return self.branches[name]

    def kernel_for(self, q: Tensor, k: Tensor, v: Tensor, shape: Sequence[int] = ()) -> CompiledAttention:
        """Itself, which refuses tensors that do not fit."""
        return self

    def check_tensors(self, q: Tensor, k: Tensor, v: Tensor) -> None:
        """Raise AttnCallError (A06xx) for tensors that do not fit."""
        check_tensors(self.ir, q, k, v)
        found = Fit(q.shape[3], v.shape[3], q.dtype, q.device.type)
        if self.fit not in (None, found):
            raise AttnCallError(
                "A0615", f"this kernel is compiled for {self.fit}; got {found}",
                help="compile it for these tensors, or call the bound pattern, which compiles as needed",
            )  # fmt: skip

    def compute(
        self, q: Tensor, k: Tensor, v: Tensor, scale: float | None, inputs: Mapping[str, Any]
    ) -> tuple[Tensor, Tensor]:
        """Output and log-sum-exp, without gradients. Raises AttnCallError (A06xx)."""
        factor, checked = self.check(q, k, v, scale, inputs)
        return self.kernels.forward(factor, checked, q, k, v)

    def gradients(
        self,
        saved: Saved,
        scale: float | None,
        inputs: Mapping[str, Any],
        out_gradient: Tensor,
        lse_gradient: Tensor,
        wanted: Wanted,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The gradients of q, k and v; empty tensors for those that are not wanted."""
        factor, checked = self.check(saved.q, saved.k, saved.v, scale, inputs)
        of_log = self._of_logarithm(saved, lse_gradient)
        return self.kernels.backward(factor, checked, saved, out_gradient, of_log, wanted)

    def input_gradients(
        self,
        saved: Saved,
        scale: float | None,
        inputs: Mapping[str, Any],
        out_gradient: Tensor,
        lse_gradient: Tensor,
        wanted: Sequence[str],
    ) -> dict[str, Tensor]:
        """The gradients of declared inputs by name, in their own types and shapes."""
        factor, checked = self.check(saved.q, saved.k, saved.v, scale, inputs)
        given = out_gradient, self._of_logarithm(saved, lse_gradient)
        found = input_gradients(self.schedule, saved, factor, checked, *given, wanted)
        return {name: found[name].to(inputs[name].dtype) for name in wanted}

    def _of_logarithm(self, saved: Saved, lse_gradient: Tensor) -> Tensor:
        """The gradient of the log-sum-exp; where weights are no softmax, from that of their sum."""
        divides = not self.ir.weighting.is_softmax and self.ir.weighting.normalize == "sum"
        return lse_gradient * saved.lse if divides else lse_gradient

    @cached_property
    def schedule(self) -> Schedule:
        """A schedule for what no kernel computes."""
        return build(self.ir)

    def check(
        self, q: Tensor, k: Tensor, v: Tensor, scale: float | None, inputs: Mapping[str, Any]
    ) -> tuple[float, dict[str, Tensor]]:
        """The scale and the declared inputs of a call. Raises AttnCallError (A06xx) for what does not fit."""
        self.check_tensors(q, k, v)
        factor = check_scale(scale, q.shape[3])
        needed = inputs or self.ir.kernel_inputs
        return factor, check_kernel_inputs(self.ir, inputs, len(q)) if needed else {}
