"""The one way into kernels: directly where that is enough, and through an operator where torch must see it.

A direct call costs a few microseconds. Gradients, graphs (`torch.compile`, `torch.export`), transforms
(`vmap`, `torch.func`) and modes that watch operators need the operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.autograd import forward_ad

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR, is_routed
from attndsl.ir.plan import Plan
from attndsl.ir.plan_checks import no_route
from attndsl.passes.linear_form import has_states
from attndsl.runtime import transforms
from attndsl.runtime.branches import Output, run_branches
from attndsl.runtime.channels import channel_attention
from attndsl.runtime.checks import EIGHT_BIT, check_inputs, check_tensors, input_tensor, scale_of
from attndsl.runtime.decays import with_computed_inputs
from attndsl.runtime.derived import Tensors, check_sources, derived_tensors
from attndsl.runtime.finish import featured, finished, gated, with_low_rank
from attndsl.runtime.flow import flow_attention
from attndsl.runtime.linear import linear_attention
from attndsl.runtime.linear_obstacles import refuse_slow_tiles
from attndsl.runtime.operators import attention
from attndsl.runtime.plans import Plans, plans_of
from attndsl.runtime.reference import Outputs
from attndsl.runtime.targets import Target

PLAIN = (Tensor, torch.nn.Parameter)
LOWERED = (torch.float32, torch.bfloat16, torch.float16)
"""Types that autocast turns into its own."""


def attend(
    target: Target,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: float | None,
    return_lse: bool,
    inputs: Mapping[str, Any],
    shape: Sequence[int] = (),
    plan: Any = None,
) -> Outputs:
    """Call a target's kernel.

    shape: extents of the space, where the target leaves them open. plan: of routes; selected by default.
    """
    ir = target.around(q, k, shape)
    if ir is None and plan is None:
        return _pairs(target, q, k, v, scale, return_lse, inputs, shape)
    if ir is None:
        raise no_route(target.key.rpartition("_")[0])
    q, k, v = under_autocast(q, k, v)
    plans = plans_of(ir, q, k, v, scale, inputs, plan) if is_routed(ir) or plan is not None else {}
    if ir.branches:

        def run(branch: BoundIR, tensors: Tensors, wants_lse: bool, given: Mapping[str, Any]) -> Output:
            own, dim = target.branch(branch.branch, q, k, shape), q.shape[3]
            factor, chosen = scale_of(branch, scale, dim), plans.get(branch.branch)
            found = _around(own, branch, tensors, factor, wants_lse, given, (), chosen)
            return found if wants_lse else (found, None)

        return run_branches(ir, q, k, v, inputs, return_lse, run)
    if ir.derived is not None:
        check_sources(ir, q, k, v)
        scale = scale_of(ir, scale, q.shape[3])
    tensors = derived_tensors(ir, q, k, v, {})
    members = plans if ir.groups else None
    return _around(target, ir, tensors, scale, return_lse, inputs, shape, plans.get(""), members)


def _around(
    target: Target,
    ir: BoundIR,
    tensors: Tensors,
    scale: float | None,
    return_lse: bool,
    inputs: Mapping[str, Any],
    shape: Sequence[int],
    plan: Plan | None,
    members: Plans | None = None,
) -> Outputs:
    """The pairs, and what is around them.

    tensors: those that are attended with. plan: of a route. members: the plans of groups.
    """
    refuse_eight_bits_around(ir, tensors[0])
    if ir.over_channels:
        return channel_attention(ir, tensors, scale, return_lse, inputs)
    q, k, v = tensors
    check_tensors(ir, q, k, v)
    if return_lse and (ir.groups or not ir.weighting.is_softmax):
        refuse_lse(ir)
    checked = check_inputs(ir, inputs, len(q), v.shape[3], q.shape[3])
    factor = scale_of(ir, scale, q.shape[3])
    q, k = featured(ir, q, k)
    if ir.weighting.normalize == "flow":
        return gated(ir, flow_attention(ir, q, k, v), checked)
    by_sums = ir.linear is not None and ir.linear.algorithm != "tiles"
    if by_sums and (plan is None or has_states(plan.q_block, plan.kv_block)):
        return gated(ir, linear_attention(ir, q, k, v, factor, checked, plan=plan).out, checked)
    if plan is None and members is None:
        refuse_slow_tiles(ir)
    given = with_computed_inputs(ir, dict(inputs), checked, q)
    q, k, factor = with_low_rank(ir, q, k, factor, checked)
    own = {each.name: given[each.name] for each in ir.kernel_inputs}
    if members is not None:
        from attndsl.runtime.grouped import grouped_attention  # which calls its kernels by `attend`

        return gated(ir, grouped_attention(ir, members, q, k, v, factor, own, checked), checked)
    if plan is not None:
        from attndsl.runtime.routed import routed_attention  # which calls its kernels by `attend`

        out, lse = routed_attention(ir, plan, q, k, v, factor, own)
    else:
        out, lse = _pairs(target, q, k, v, factor, True, own, shape)
    out, lse = finished(ir, out, lse, checked)
    return (out, lse) if return_lse else out


def _pairs(
    target: Target,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: float | None,
    return_lse: bool,
    inputs: Mapping[str, Any],
    shape: Sequence[int],
) -> Outputs:
    """What the pairs of tokens contribute: the kernel, and nothing around it."""
    if inputs:
        _refuse_gradients(target, inputs)
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
    plain = type(q) in PLAIN and type(k) in PLAIN and type(v) in PLAIN
    return not plain or torch._C._len_torch_dispatch_stack() > 0


def _refuse_eight_bits(q: Tensor) -> None:
    if q.dtype == EIGHT_BIT:
        raise AttnCallError(
            "A0629", "8-bit tensors require gradients, and there is a forward pass for them only",
            help="detach them, or convert them with .to(torch.bfloat16)",
        )  # fmt: skip


def refuse_lse(ir: BoundIR) -> NoReturn:
    """Refuse to give the log-sum-exp of groups, or of weights that are no softmax, with A0619."""
    if ir.groups:
        raise AttnCallError(
            "A0619", f"`{ir.name}` averages the outputs of its groups, which have no log-sum-exp together",
            help="leave out return_lse",
        )  # fmt: skip
    raise AttnCallError(
        "A0619", f"the weights of `{ir.name}` are no softmax, so they have no log-sum-exp",
        help="leave out return_lse",
    )  # fmt: skip


def refuse_eight_bits_around(ir: BoundIR, q: Any) -> None:
    """Refuse 8-bit tensors with A0625 where torch computes before, or instead of, a kernel of pairs."""
    by_sums = ir.linear is not None and ir.linear.algorithm != "tiles"
    around = ir.weighting.feature is not None or bool(ir.low_rank) or ir.weighting.normalize == "flow"
    if (by_sums or around or ir.over_channels) and getattr(q, "dtype", None) == EIGHT_BIT:
        raise AttnCallError(
            "A0625", f"`{ir.name}` does not compute with 8-bit tensors: only kernels of pairs do",
            help="convert them with .to(torch.bfloat16)",
        )  # fmt: skip


def under_autocast(q: Any, k: Any, v: Any) -> tuple[Any, Any, Any]:
    """The tensors in autocast's type, where it is at work."""
    tensors = q, k, v
    if not all(isinstance(each, Tensor) and each.device.type != "meta" for each in tensors):
        return tensors
    if not torch.is_autocast_enabled(q.device.type):
        return tensors
    return _lowered(q), _lowered(k), _lowered(v)


def _lowered(tensor: Tensor) -> Tensor:
    wanted = torch.get_autocast_dtype(tensor.device.type)
    return tensor.to(wanted) if tensor.dtype in LOWERED else tensor


def _has_gradients(inputs: Mapping[str, Any]) -> bool:
    return torch.is_grad_enabled() and any(
        isinstance(value, Tensor) and value.requires_grad for value in inputs.values()
    )


def _refuse_gradients(target: Target, inputs: Mapping[str, Any]) -> None:
    """Raise AttnCallError A0616 where a gradient of an input that only decides visibility is asked for."""
    for name, value in inputs.items():
        if name in target.mask_inputs and _has_gradients({name: value}):
            raise AttnCallError(
                "A0616", f"input `{name}` requires a gradient, but it only decides which pairs are visible",
                help=f"pass {name}.detach()",
            )  # fmt: skip
