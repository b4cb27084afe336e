"""Transforms of `torch.func`: `vmap` makes the mapped dimension part of the batch; others are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import TransformType
from torch._functorch.pyfunctorch import retrieve_all_functorch_interpreters
from torch.autograd import forward_ad
from torch.library import register_vmap

from attndsl.diagnostics import AttnCallError
from attndsl.runtime.operators import attention, attention_backward
from attndsl.runtime.plan_operators import check_lists, select_lists
from attndsl.runtime.targets import find

DERIVATIVES = (TransformType.Grad, TransformType.Jvp)

PLAIN = (Tensor, torch.nn.Parameter)

Dimension = int | None
"""The mapped dimension of a tensor; None if it has none."""


def refuse_derivatives(*tensors: Tensor) -> None:
    """Raise AttnCallError A0624 under `torch.func.grad` and `jvp`, and for tensors with tangents."""
    if torch.compiler.is_compiling():  # graphs cannot ask, and refuse derivatives of operators themselves
        return
    transforms = retrieve_all_functorch_interpreters()
    if any(each.key() in DERIVATIVES for each in transforms) or any(map(_has_tangent, tensors)):
        raise AttnCallError(
            "A0624", "attention kernels have gradients by backward() only, not by torch.func or forward mode",
            help="use loss.backward() or torch.autograd.grad",
        )  # fmt: skip


def needs_operators(*tensors: Tensor) -> bool:
    """Whether torch must see operators and no data: in graphs, in its transforms, in modes that watch."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return True
    return torch._C._len_torch_dispatch_stack() > 0 or any(type(each) not in PLAIN for each in tensors)


def _has_tangent(tensor: Tensor) -> bool:
    in_forward_mode = forward_ad._current_level >= 0
    return in_forward_mode and forward_ad.unpack_dual(tensor).tangent is not None  # type: ignore[no-untyped-call]


def _map_attention(info: Any, dimensions: Sequence[Any], *arguments: Any) -> tuple[Any, ...]:
    return _map(attention, 3, info.batch_size, dimensions, arguments)


def _map_backward(info: Any, dimensions: Sequence[Any], *arguments: Any) -> tuple[Any, ...]:
    return _map(attention_backward, 7, info.batch_size, dimensions, arguments)


def _map(
    operator: Any, count: int, size: int, dimensions: Sequence[Any], arguments: Sequence[Any]
) -> tuple[Any, ...]:
    """Calls an operator whose first `count` arguments are tensors, then declared inputs, names and target."""
    tensors = [merged(*each, size) for each in zip(arguments[:count], dimensions, strict=False)]
    given, names, target = arguments[count : count + 3]
    batch, ranks = len(tensors[0]) // size, find(target).rank_of
    inputs = merged_inputs(batch, size, dimensions[count], given, names, ranks)
    return split_again(operator(*tensors, inputs, *arguments[count + 1 :]), size)


def _map_select(info: Any, dimensions: Sequence[Any], *arguments: Any) -> tuple[Any, ...]:
    """The lists of all elements; units are the same for all."""
    size = info.batch_size
    q, k, v = (
        None if each is None else merged(each, dimension, size)
        for each, dimension in zip(arguments[:3], dimensions[:3], strict=True)
    )
    assert q is not None
    given, names, target = arguments[3:6]
    inputs = merged_inputs(len(q) // size, size, dimensions[3], given, names, find(target).rank_of)
    *lists, q_units, kv_units = select_lists(q, k, v, inputs, *arguments[4:])
    parts, places = split_again(lists, size)
    return (*parts, q_units, kv_units), (*places, None, None)


def _map_check(info: Any, dimensions: Sequence[Any], *arguments: Any) -> tuple[Any, ...]:
    indices, counts, *units = arguments
    if any(each is not None for each in dimensions[2:4]):
        raise AttnCallError(
            "A0689", "torch.vmap maps the units of a plan, which must be the same for all",
            help="map the plan's indices and counts only",
        )  # fmt: skip
    size = info.batch_size
    lists = (merged(*each, size) for each in ((indices, dimensions[0]), (counts, dimensions[1])))
    return split_again(check_lists(*lists, *units), size)


register_vmap("attndsl::attention", _map_attention)
register_vmap("attndsl::attention_backward", _map_backward)
register_vmap("attndsl::select", _map_select)
register_vmap("attndsl::check_plan", _map_check)


def merged(tensor: Tensor, dimension: Dimension, size: int) -> Tensor:
    """[mapped * batch, ...], where the batch is the first dimension of each mapped part."""
    return _front(tensor, dimension, size).flatten(0, 1)


def split_again(results: Sequence[Tensor], size: int) -> tuple[Any, ...]:
    """Results [mapped * batch, ...] as [mapped, batch, ...] but for empty ones; their mapped dimensions."""
    parts = [each.reshape(size, -1, *each.shape[1:]) if each.ndim > 1 else each for each in results]
    return tuple(parts), tuple(0 if each.ndim > 1 else None for each in results)


def _front(tensor: Tensor, dimension: Dimension, size: int) -> Tensor:
    """The tensor with its mapped dimension in front, which it gets if it has none."""
    return tensor.expand(size, *tensor.shape) if dimension is None else tensor.movedim(dimension, 0)


def merged_inputs(
    batch: int, size: int, dimensions: Sequence[Dimension], inputs: Sequence[Tensor], names: str,
    rank_of: Callable[[str], int],
) -> list[Tensor]:  # fmt: skip
    """Declared inputs of an operator: as they are if they are the same for all, else [mapped * batch, ...].

    rank_of: the dimensions of each without that of the batch.
    """
    found = []
    for name, tensor, dimension in zip(names.split(), inputs, dimensions, strict=True):
        mapped, rank = _front(tensor, dimension, size), rank_of(name)
        if dimension is None and tensor.ndim == rank:
            found.append(tensor)
            continue
        each = mapped if mapped.ndim == rank + 2 else mapped.unsqueeze(1)
        found.append(each.expand(size, batch, *each.shape[2:]).flatten(0, 1))
    return found
