"""What torch and kernels ask of a bound pattern: its name in graphs, its heads, its kernels.

`attndsl/pipeline.py` adds what users ask: mask, schedule, prediction and the call itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from attndsl.ir.bound import BoundIR, needs_more, with_heads
from attndsl.runtime.targets import describe, mask_inputs_of, rank_in, register

if TYPE_CHECKING:
    import torch

    from attndsl.ir.plan import Plan
    from attndsl.runtime.compiled import CompiledAttention

Self = TypeVar("Self", bound="BoundTarget")


@dataclass(frozen=True, repr=False)
class BoundTarget(ABC):
    """A bound pattern as a `runtime.targets.PatternTarget`. any_heads: whether bind left the heads open."""

    ir: BoundIR
    any_heads: bool = False
    _kernels: dict[object, Any] = field(default_factory=dict, repr=False, compare=False)
    key: str = field(init=False, repr=False, compare=False)
    """Its name in graphs of torch."""

    def __post_init__(self) -> None:
        key = register(self, self.ir.name, "bound", describe(self.ir), self.any_heads)
        object.__setattr__(self, "key", key)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickled as what it is, without kernels, which every process finds for itself."""
        return type(self), (self.ir, self.any_heads)

    @abstractmethod
    def branch(self: Self, name: str, q: torch.Tensor, k: torch.Tensor, shape: Sequence[int] = ()) -> Self:
        """See `PatternTarget`."""

    @abstractmethod
    def compile(
        self,
        backend: str = "auto",
        *,
        head_dim: int,
        dtype: Any = None,
        value_dim: int | None = None,
        device: str = "cpu",
    ) -> CompiledAttention:
        """A callable for one head size and type."""

    @property
    def mask_inputs(self) -> frozenset[str]:
        """The declared inputs that masks read, which have no gradients."""
        return mask_inputs_of(self.ir)

    def rank_of(self, name: str) -> int:
        """See `Target`."""
        return rank_in(self.ir, name)

    def around(self, q: torch.Tensor, k: torch.Tensor, shape: Sequence[int] = ()) -> BoundIR | None:
        """The bound pattern, if more than a kernel is needed: see `ir.bound.needs_more`."""
        return self._ir_for_tensors(q, k) if needs_more(self.ir) else None

    def kernel_for(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, shape: Sequence[int] = ()
    ) -> CompiledAttention:
        """The kernel for tensors of these types and sizes, compiled when first asked for."""
        kernel: CompiledAttention | None = self._kernels.get(kernel_key(q, k, v))
        if kernel is None:
            self.check_tensors(q, k, v)
            kernel = self.for_tensors(q, k).compile(
                head_dim=q.shape[-1], value_dim=v.shape[-1], dtype=q.dtype, device=q.device.type
            )
            self._kernels[kernel_key(q, k, v)] = kernel
        return kernel

    def check_tensors(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> None:
        """Raise AttnCallError (A06xx) for tensors that do not fit."""
        from attndsl.runtime.checks import check_tensors

        check_tensors(self.for_tensors(q, k).ir, q, k, v)

    def for_tensors(self: Self, q: torch.Tensor, k: torch.Tensor) -> Self:
        """This bound pattern, with the tensors' head counts where bind left them open."""
        ir = self._ir_for_tensors(q, k)
        return self if ir is self.ir else type(self)(ir)

    def for_plan(self: Self, plan: Plan | Mapping[str, Plan] | None) -> Self:
        """This bound pattern, with a plan's heads where bind left them open."""
        given = plan.values() if isinstance(plan, Mapping) else [plan]
        heads = max((getattr(each, "heads", 1) for each in given), default=1)
        return self.with_heads(heads, heads) if self.any_heads and heads > 1 else self

    def _ir_for_tensors(self, q: torch.Tensor, k: torch.Tensor) -> BoundIR:
        shapes: list[Sequence[int]] = [getattr(tensor, "shape", ()) for tensor in (q, k)]
        if not self.any_heads or any(len(shape) != 4 or not shape[1] for shape in shapes):
            return self.ir
        heads, kv_heads = (int(shape[1]) for shape in shapes)
        return self.ir if heads % kv_heads else with_heads(self.ir, heads, kv_heads)

    def with_heads(self: Self, heads: int, kv_heads: int) -> Self:
        """The same mask for other head counts."""
        return type(self)(with_heads(self.ir, heads, kv_heads))


def kernel_key(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> object:
    """What a kernel is compiled for; None for arguments that are no tensors."""
    try:
        return q.dtype, q.device.type, q.shape[1:], k.shape[1:], v.shape[-1]
    except (AttributeError, IndexError):
        return None
