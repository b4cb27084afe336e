"""Transforms of `torch.func`: `vmap` makes the mapped dimension part of the batch; others are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch._C._functorch import TransformType
from torch._functorch.pyfunctorch import retrieve_all_functorch_interpreters
from torch.autograd import forward_ad
from torch.library import register_vmap

from attndsl.diagnostics import AttnCallError
from attndsl.runtime.operators import attention, attention_backward

DERIVATIVES = (TransformType.Grad, TransformType.Jvp)

Dimension = int | None
"""The mapped dimension of a tensor; None if it has none."""


def refuse_derivatives(*tensors: Tensor) -> None:
    """Raise AttnCallError A0624 under `torch.func.grad` and `jvp`, and for tensors with tangents."""
    transforms = retrieve_all_functorch_interpreters()
    if any(each.key() in DERIVATIVES for each in transforms) or any(map(_has_tangent, tensors)):
        raise AttnCallError(
            "A0624", "attention kernels have gradients by backward() only, not by torch.func or forward mode",
            help="use loss.backward() or torch.autograd.grad",
        )  # fmt: skip


def _has_tangent(tensor: Tensor) -> bool:
    in_forward_mode = forward_ad._current_level >= 0
    return in_forward_mode and forward_ad.unpack_dual(tensor).tangent is not None  # type: ignore[no-untyped-call]


def _map_attention(info: Any, dimensions: Sequence[Any], *arguments: Any) -> tuple[Any, ...]:
    return _map(attention, 3, info.batch_size, dimensions, arguments)


def _map_backward(info: Any, dimensions: Sequence[Any], *arguments: Any) -> tuple[Any, ...]:
    return _map(attention_backward, 7, info.batch_size, dimensions, arguments)


register_vmap("attndsl::attention", _map_attention)
register_vmap("attndsl::attention_backward", _map_backward)


def _map(
    operator: Any, count: int, size: int, dimensions: Sequence[Any], arguments: Sequence[Any]
) -> tuple[Any, ...]:
    """Calls an operator whose first `count` arguments are tensors, and the next one declared inputs."""
    fronts = [_front(*each, size) for each in zip(arguments[:count], dimensions, strict=False)]
    tensors = [each.flatten(0, 1) for each in fronts]
    inputs = [
        _fold(*each, size, fronts[0].shape[1])
        for each in zip(arguments[count], dimensions[count], strict=True)
    ]
    results = operator(*tensors, inputs, *arguments[count + 1 :])
    parts = [each.reshape(size, -1, *each.shape[1:]) if each.ndim > 1 else each for each in results]
    return tuple(parts), tuple(0 if each.ndim > 1 else None for each in results)


def _front(tensor: Tensor, dimension: Dimension, size: int) -> Tensor:
    """The tensor with its mapped dimension in front, which it gets if it has none."""
    return tensor.expand(size, *tensor.shape) if dimension is None else tensor.movedim(dimension, 0)


def _fold(tensor: Tensor, dimension: Dimension, size: int, batch: int) -> Tensor:
    """A declared input: [tokens] if it is the same for all, else [mapped * batch, tokens]."""
    if dimension is None and tensor.ndim == 1:
        return tensor
    front = _front(tensor, dimension, size)
    each = front if front.ndim == 3 else front.unsqueeze(1)
    return each.expand(size, batch, each.shape[2]).flatten(0, 1)
