"""The one way into kernels: directly where that is enough, and through an operator where torch must see it.

A direct call costs a few microseconds. Gradients, graphs (`torch.compile`, `torch.export`), transforms
(`vmap`, `torch.func`) and modes that watch operators need the operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from attndsl.diagnostics import AttnCallError
from attndsl.runtime import transforms
from attndsl.runtime.autocast import under_autocast
from attndsl.runtime.checks import EIGHT_BIT, input_tensor
from attndsl.runtime.operators import attention
from attndsl.runtime.reference import Outputs
from attndsl.runtime.targets import Target


def attend_pairs(
    target: Target,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: float | None,
    return_lse: bool,
    inputs: Mapping[str, Any],
    shape: Sequence[int] = (),
) -> Outputs:
    """What the pairs of tokens contribute: a target's kernel, and nothing around it.

    shape: extents of the space, where the target leaves them open.
    """
    if inputs:
        refuse_gradients(target, inputs)
    if isinstance(q, Tensor) and isinstance(k, Tensor) and isinstance(v, Tensor):
        q, k, v = under_autocast(q, k, v)
        if torch.compiler.is_compiling() or _is_watched(q, k, v) or _has_gradients(inputs):
            given = [input_tensor(name, value) for name, value in inputs.items()]
            out, lse = attention(q, k, v, given, " ".join(inputs), target.key, scale, list(shape))
            return (out, lse) if return_lse else out
    out, lse = target.kernel_for(q, k, v, shape).compute(q, k, v, scale, inputs)
    return (out, lse) if return_lse else out


def _is_watched(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether a call must go through the dispatcher."""
    if torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        transforms.refuse_derivatives(q, k, v)
        return True
    if torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
        _refuse_eight_bits(q)
        return True
    plain = type(q) in transforms.PLAIN and type(k) in transforms.PLAIN and type(v) in transforms.PLAIN
    return not plain or torch._C._len_torch_dispatch_stack() > 0


def _refuse_eight_bits(q: Tensor) -> None:
    if q.dtype == EIGHT_BIT:
        raise AttnCallError(
            "A0629", "8-bit tensors require gradients, and there is a forward pass for them only",
            help="detach them, or convert them with .to(torch.bfloat16)",
        )  # fmt: skip


def _has_gradients(inputs: Mapping[str, Any]) -> bool:
    return torch.is_grad_enabled() and any(
        isinstance(value, Tensor) and value.requires_grad for value in inputs.values()
    )


def refuse_gradients(target: Target, inputs: Mapping[str, Any]) -> None:
    """Raise AttnCallError A0616 where a gradient of an input that only decides visibility is asked for."""
    for name, value in inputs.items():
        if name in target.mask_inputs and _has_gradients({name: value}):
            raise AttnCallError(
                "A0616", f"input `{name}` requires a gradient, but it only decides which pairs are visible",
                help=f"pass {name}.detach()",
            )  # fmt: skip
