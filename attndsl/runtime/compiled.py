"""Compiled attention: the callables that a bound pattern turns into, one class per backend."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import torch

from attndsl.diagnostics import AttnBackendError, AttnCallError, AttnWarning
from attndsl.ir.bound import BoundIR
from attndsl.runtime.call import Maps, PreparedCall, block_maps
from attndsl.runtime.checks import check_inputs, check_scale, check_tensors
from attndsl.runtime.reference import Outputs, reference
from attndsl.schedule.schedule import Schedule

ADDRESS_AND_STRIDES = 5


class CompiledAttention(Protocol):
    """A kernel for one pattern, head size and type: call it as `Bound.__call__`."""

    ir: BoundIR
    backend: str

    def __call__(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        *,
        scale: float | None = None,
        return_lse: bool = False,
        **inputs: Any,
    ) -> Outputs:
        """Output [batch, heads, Nq, Dv], and with return_lse the log-sum-exp [batch, heads, Nq]."""


class ReferenceAttention:
    """The reference backend behind the interface of a compiled kernel."""

    backend = "reference"

    def __init__(self, ir: BoundIR) -> None:
        self.ir = ir

    def __call__(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *,
        scale: float | None = None, return_lse: bool = False, **inputs: Any,
    ) -> Outputs:  # fmt: skip
        """See `reference`."""
        return reference(self.ir, q, k, v, scale=scale, return_lse=return_lse, **inputs)


class CpuAttention:
    """A C++ kernel. Gradients, where asked for, are computed by the reference backend."""

    backend = "cpu"

    def __init__(
        self,
        schedule: Schedule,
        function: Callable[[int], int],
        head_dim: int,
        value_dim: int,
        dtype: torch.dtype,
    ) -> None:
        self.ir = schedule.ir
        self.schedule = schedule
        self.function = function
        self.prepared = PreparedCall.of(schedule)
        self.shape = (head_dim, value_dim)
        self.dtype = dtype

    def __call__(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *,
        scale: float | None = None, return_lse: bool = False, **inputs: Any,
    ) -> Outputs:  # fmt: skip
        """See `CompiledAttention`."""
        check_tensors(self.ir, q, k, v)
        self._check_compiled_for(q, v)
        factor = check_scale(scale, q.shape[-1])
        checked = check_inputs(self.ir, inputs, len(q)) if inputs or self.ir.inputs else {}
        if torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
            out, lse = _WithReferenceGradient.apply(self, factor, checked, q, k, v)  # type: ignore[no-untyped-call]
        else:
            out, lse = self.forward(factor, checked, q, k, v)
        return (out, lse) if return_lse else out

    def forward(
        self, scale: float, inputs: dict[str, torch.Tensor], q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Output and log-sum-exp of checked tensors."""
        batches, heads, queries, _ = q.shape
        out = torch.empty((batches, heads, queries, self.shape[1]), dtype=self.dtype)
        lse = torch.empty((batches, heads, queries), dtype=torch.float32)
        if not out.numel():
            return out, lse
        q, k, v = (tensor.resolve_neg() if tensor.is_neg() else tensor for tensor in (q, k, v))
        addresses = [n for t in (q, k, v, out) for n in (t.data_ptr(), *t.stride())]
        addresses += [lse.data_ptr(), *lse.stride(), 0]
        given = [n for t in inputs.values() for n in (t.data_ptr(), t.stride(0) if t.ndim == 2 else 0)]
        maps = self._refined_maps(inputs) if inputs else None
        threads = min(torch.get_num_threads(), batches * heads * self.schedule.q_tiling.tiles)
        if self.prepared.run(self.function, addresses, (scale,), batches, threads, given, maps):
            raise AttnBackendError(
                "A0705", f"not enough memory for the packed keys and values of `{self.ir.name}`",
                help="use fewer tokens per call",
            )  # fmt: skip
        return out, lse

    def _check_compiled_for(self, q: torch.Tensor, v: torch.Tensor) -> None:
        if (q.shape[-1], v.shape[-1]) != self.shape or q.dtype != self.dtype or q.device.type != "cpu":
            raise AttnCallError(
                "A0615",
                f"this kernel is compiled for head_dim {self.shape[0]}, value_dim {self.shape[1]}, "
                f"{self.dtype} on the CPU; got {q.shape[-1]}, {v.shape[-1]}, {q.dtype} on {q.device}",
                help="compile it for these tensors, or call the bound pattern, which compiles as needed",
            )

    def _refined_maps(self, inputs: dict[str, torch.Tensor]) -> Maps:
        """Block maps narrowed by what the inputs hold, one schedule per batch element if they differ."""
        arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
        batches = {len(array) for array in arrays.values() if array.ndim == 2}
        elements = range(batches.pop() if batches else 1)
        rows = [{name: a[b] if a.ndim == 2 else a for name, a in arrays.items()} for b in elements]
        return block_maps([self.schedule.refine(each) for each in rows])


class _WithReferenceGradient(torch.autograd.Function):
    """Runs the kernel forward and the reference backward, until kernels have a backward pass of their own."""

    @staticmethod
    def forward(ctx: Any, kernel: CpuAttention, scale: float, inputs: Any, q: Any, k: Any, v: Any) -> Any:
        ctx.save_for_backward(q, k, v)
        ctx.kernel, ctx.scale, ctx.inputs = kernel, scale, inputs
        return kernel.forward(scale, inputs, q, k, v)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, out_gradient: torch.Tensor, lse_gradient: torch.Tensor) -> Any:
        _warn_about_gradients()
        leaves = [tensor.detach().requires_grad_() for tensor in ctx.saved_tensors]
        with torch.enable_grad():
            q, k, v = leaves
            outputs = reference(ctx.kernel.ir, q, k, v, scale=ctx.scale, return_lse=True, **ctx.inputs)
        gradients = torch.autograd.grad(outputs, leaves, (out_gradient, lse_gradient))
        return None, None, None, *gradients


_warned = False


def _warn_about_gradients() -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            "gradients of CPU kernels are computed by the reference backend: exact, but slow",
            AttnWarning,
            stacklevel=3,
        )
