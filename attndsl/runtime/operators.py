"""The operators `attndsl::attention` and `attndsl::attention_backward`: kernels as torch's graphs see them.

Their arguments are tensors, numbers and text only: the target (a bound pattern, a kernel, or a pattern at
any length) is named by its key, the declared inputs by their names, separated by spaces. The shapes and
strides of results are known without running anything, so that graphs can be traced.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op, register_autograd, register_fake

from attndsl.runtime.checks import output_type, wide_type
from attndsl.runtime.kernels import Saved, Wanted
from attndsl.runtime.second_derivatives import refuse_second_derivatives
from attndsl.runtime.targets import find, keep


@custom_op("attndsl::attention", mutates_args=())
def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    inputs: Sequence[Tensor],
    names: str,
    target: str,
    scale: float | None,
    shape: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Output and log-sum-exp. shape: extents of the space, where the target leaves them open."""
    kernel = find(target).kernel_for(q, k, v, shape)
    return kernel.compute(q, k, v, scale, _named(names, inputs))


@custom_op("attndsl::attention_backward", mutates_args=())
def attention_backward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    out_gradient: Tensor,
    lse_gradient: Tensor,
    inputs: Sequence[Tensor],
    names: str,
    target: str,
    scale: float | None,
    shape: Sequence[int],
    wants_q: bool,
    wants_kv: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v; empty tensors for those that are not wanted."""
    kernel = find(target).kernel_for(q, k, v, shape)
    saved, wanted = Saved(q, k, v, out, lse), Wanted(wants_q, wants_kv)
    return kernel.gradients(saved, scale, _named(names, inputs), out_gradient, lse_gradient, wanted)


@custom_op("attndsl::attention_input_gradients", mutates_args=())
def attention_input_gradients(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    out_gradient: Tensor,
    lse_gradient: Tensor,
    inputs: Sequence[Tensor],
    names: str,
    target: str,
    scale: float | None,
    shape: Sequence[int],
    wanted: str,
) -> list[Tensor]:
    """The gradients of the inputs named in `wanted`."""
    kernel = find(target).kernel_for(q, k, v, shape)
    given = _named(names, inputs)
    saved = Saved(q, k, v, out, lse)
    found = kernel.input_gradients(saved, scale, given, out_gradient, lse_gradient, wanted.split())
    return [found[name] for name in wanted.split()]


def _named(names: str, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
    return dict(zip(names.split(), inputs, strict=True))


def _shapes(
    q: Tensor, k: Tensor, v: Tensor, inputs: Any, names: str, target: str, scale: Any, shape: Any
) -> tuple[Tensor, Tensor]:
    keep(target).check_tensors(q, k, v)
    kind = wide_type(q.dtype)
    out = q.new_empty((*q.shape[:3], v.shape[3]), dtype=output_type(q.dtype))
    return out, q.new_empty(q.shape[:3], dtype=kind)


def _backward_shapes(q: Tensor, k: Tensor, v: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    *_, wants_q, wants_kv = arguments
    shapes = ((q, wants_q), (k, wants_kv), (v, wants_kv))
    dq, dk, dv = (each.new_empty(each.shape if wanted else 0) for each, wanted in shapes)
    return dq, dk, dv


def _input_gradient_shapes(*arguments: Any) -> list[Tensor]:
    inputs, names, *_, wanted = arguments[7:]
    given = _named(names, inputs)
    return [torch.empty_like(given[name], memory_format=torch.contiguous_format) for name in wanted.split()]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, declared, names, target, scale, shape = inputs
    ctx.save_for_backward(q, k, v, *output, *declared)
    ctx.target = find(target)  # alive until the backward pass
    ctx.arguments = names, target, scale, shape


def _backward(ctx: Any, out_gradient: Tensor, lse_gradient: Tensor) -> tuple[Any, ...]:
    """The gradients of the operator's arguments; lists of arguments have lists of them."""
    wants_q, *wants_kv = ctx.needs_input_grad[:3]
    q, k, v, out, lse, *inputs = ctx.saved_tensors  # once: checkpoints allow no second look
    gradients = attention_backward(
        q, k, v, out, lse, out_gradient, lse_gradient, inputs, *ctx.arguments, wants_q, any(wants_kv)
    )
    wanted = zip(gradients, ctx.needs_input_grad[:3], strict=True)
    own = (gradient if needed else None for gradient, needed in wanted)
    names, needed = ctx.arguments[0].split(), ctx.needs_input_grad[3]
    of_inputs = dict.fromkeys(names)
    if any(needed):
        chosen = [name for name, each in zip(names, needed, strict=True) if each]
        found = attention_input_gradients(
            q, k, v, out, lse, out_gradient, lse_gradient, inputs, *ctx.arguments, " ".join(chosen)
        )
        of_inputs |= dict(zip(chosen, found, strict=True))
    of_shape: list[None] | None = None if ctx.arguments[3] else []  # an empty list could be one of tensors
    return *own, list(of_inputs.values()), None, None, None, of_shape


register_fake("attndsl::attention", _shapes)
register_fake("attndsl::attention_backward", _backward_shapes)
register_fake("attndsl::attention_input_gradients", _input_gradient_shapes)
refuse_second_derivatives("attndsl::attention_input_gradients")
register_autograd("attndsl::attention", _backward, setup_context=_save)
refuse_second_derivatives("attndsl::attention_backward")
