"""The operators `attndsl::sums_of_blocks` and its backward pass: linear weights over plans in torch's graphs.

An output is a query times the states of the blocks that it lists, so that all three gradients are sums over
lists too: that of queries over the same lists, those of keys and values over the transposed ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op, register_autograd, register_fake, register_vmap

from attndsl.ir.plan import Plan
from attndsl.runtime.checks import wide_type
from attndsl.runtime.plan_inputs import RANKS, arrays_of, plan_in
from attndsl.runtime.route_pools import split
from attndsl.runtime.routed_sums import sums_of_blocks
from attndsl.runtime.second_derivatives import refuse_second_derivatives
from attndsl.runtime.select_lists import lists_of
from attndsl.runtime.transforms import merged, merged_inputs, needs_operators, refuse_derivatives, split_again


def sums_over(plan: Plan, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """As `sums_of_blocks`, also in graphs."""
    if not needs_operators(q, k, v):
        return sums_of_blocks(plan, q, k, v, scale)
    refuse_derivatives(q, k, v)
    arrays = arrays_of(plan, q.device)
    found: Tensor = sums_operator(q, k, v, list(arrays.values()), " ".join(arrays), list(plan.sizes), scale)
    return found


@custom_op("attndsl::sums_of_blocks", mutates_args=())
def sums_operator(
    q: Tensor, k: Tensor, v: Tensor, arrays: Sequence[Tensor], names: str, sizes: Sequence[int], scale: float
) -> Tensor:
    """See `sums_of_blocks`. arrays, names, sizes: of the plan."""
    return sums_of_blocks(_plan(arrays, names, sizes), q, k, v, scale).contiguous()


@custom_op("attndsl::sums_of_blocks_backward", mutates_args=())
def sums_backward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out_gradient: Tensor,
    arrays: Sequence[Tensor],
    names: str,
    sizes: Sequence[int],
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v."""
    plan = _plan(arrays, names, sizes)
    back, group = _transposed(plan), q.shape[1] // k.shape[1]
    wide_k, wide_v = (each.repeat_interleave(group, 1) for each in (k, v))
    dq = sums_of_blocks(plan, out_gradient, v, k, scale)
    dk = split(sums_of_blocks(back, wide_v, out_gradient, q, scale), 1, k.shape[1]).sum(2)
    dv = split(sums_of_blocks(back, wide_k, q, out_gradient, scale), 1, k.shape[1]).sum(2)
    return dq.to(q.dtype).contiguous(), dk.to(k.dtype), dv.to(v.dtype)


def _plan(arrays: Sequence[Tensor], names: str, sizes: Sequence[int]) -> Plan:
    return plan_in(sizes, dict(zip(names.split(), arrays, strict=True)))


def _transposed(plan: Plan) -> Plan:
    """Which units of queries each unit of keys is listed by."""
    lists = torch.as_tensor(plan.indices).long()
    chosen = lists.new_zeros((*lists.shape[:3], plan.key_units + 1), dtype=torch.bool)
    chosen.scatter_(3, torch.where(lists < 0, plan.key_units, lists), True)
    indices, counts = lists_of(chosen[..., :-1].mT.contiguous())
    return replace(
        plan, queries=plan.keys, keys=plan.queries, q_block=plan.kv_block, kv_block=plan.q_block,
        indices=indices, counts=counts, q_units=plan.kv_units, kv_units=plan.q_units,
    )  # fmt: skip


def _shape(q: Tensor, k: Tensor, v: Tensor, *arguments: Any) -> Tensor:
    kind = wide_type(q.dtype)
    return q.new_empty((*q.shape[:3], v.shape[3]), dtype=kind)


def _backward_shapes(q: Tensor, k: Tensor, v: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    q, k, v, arrays, names, sizes, scale = inputs
    ctx.save_for_backward(q, k, v, *arrays)
    ctx.arguments = names, sizes, scale


def _backward(ctx: Any, out_gradient: Tensor) -> tuple[Any, ...]:
    q, k, v, *arrays = ctx.saved_tensors  # once: checkpoints allow no second look
    found = sums_backward(q, k, v, out_gradient, arrays, *ctx.arguments)
    return *found, [None] * len(arrays), None, None, None


def _map(info: Any, dimensions: Sequence[Any], *arguments: Any) -> tuple[Any, ...]:
    """A batch of all elements that `torch.vmap` maps."""
    size, (arrays, names, sizes, scale) = info.batch_size, arguments[3:]
    q, k, v = (merged(*each, size) for each in zip(arguments[:3], dimensions[:3], strict=True))
    lists = merged_inputs(len(q) // size, size, dimensions[3], arrays, names, RANKS.__getitem__)
    parts, places = split_again([sums_operator(q, k, v, lists, names, sizes, scale)], size)
    return parts[0], places[0]


register_vmap("attndsl::sums_of_blocks", _map)
register_fake("attndsl::sums_of_blocks", _shape)
register_fake("attndsl::sums_of_blocks_backward", _backward_shapes)
register_autograd("attndsl::sums_of_blocks", _backward, setup_context=_save)
refuse_second_derivatives("attndsl::sums_of_blocks_backward")
