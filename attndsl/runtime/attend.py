"""What a call computes around the kernels of pairs: plans, branches, features, sums, gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from torch import Tensor

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR, is_routed
from attndsl.ir.plan import Plan
from attndsl.ir.plan_checks import no_route
from attndsl.passes.linear_form import has_states
from attndsl.runtime.attend_pairs import attend_pairs
from attndsl.runtime.autocast import under_autocast, without_autocast
from attndsl.runtime.branches import Output, run_branches
from attndsl.runtime.channels import channel_attention
from attndsl.runtime.checks import EIGHT_BIT, check_inputs, check_tensors, scale_of
from attndsl.runtime.decays import with_computed_inputs
from attndsl.runtime.derived import Tensors, check_sources, derived_tensors
from attndsl.runtime.finish import featured, finished, gated, with_low_rank
from attndsl.runtime.flow import flow_attention
from attndsl.runtime.linear import linear_attention
from attndsl.runtime.linear_obstacles import refuse_slow_tiles
from attndsl.runtime.plans import Plans
from attndsl.runtime.plans_in_graphs import plans_of_call
from attndsl.runtime.reference import Outputs
from attndsl.runtime.targets import PatternTarget


def attend(
    target: PatternTarget,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: float | None,
    return_lse: bool,
    inputs: Mapping[str, Any],
    shape: Sequence[int] = (),
    plan: Any = None,
) -> Outputs:
    """Call a target.

    shape: extents of the space, where the target leaves them open. plan: of routes; selected by default.
    """
    ir = target.around(q, k, shape)
    if ir is None and plan is None:
        return attend_pairs(target, q, k, v, scale, return_lse, inputs, shape)
    if ir is None:
        raise no_route(target.key.rpartition("_")[0])
    q, k, v = under_autocast(q, k, v)
    with without_autocast(q):
        return _whole(target, ir, (q, k, v), scale, return_lse, inputs, shape, plan)


def _whole(
    target: PatternTarget,
    ir: BoundIR,
    tensors: Tensors,
    scale: float | None,
    return_lse: bool,
    inputs: Mapping[str, Any],
    shape: Sequence[int],
    plan: Any,
) -> Outputs:
    """Plans and branches, and what each of these computes. Arguments as for `attend`."""
    q, k, v = tensors
    is_planned = is_routed(ir) or plan is not None
    plans = plans_of_call(target, ir, q, k, v, scale, inputs, plan, shape) if is_planned else {}
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
    target: PatternTarget,
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
    checked = check_inputs(ir, inputs, q.shape[0], v.shape[3], q.shape[3])
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
        from attndsl.runtime.grouped import grouped_attention  # which compiles kernels

        return gated(ir, grouped_attention(ir, members, q, k, v, factor, own, checked), checked)
    if plan is not None:
        from attndsl.runtime.routed import routed_attention  # which compiles kernels

        out, lse = routed_attention(ir, plan, q, k, v, factor, own, target=target, shape=shape)
    else:
        out, lse = attend_pairs(target, q, k, v, factor, True, own, shape)
    out, lse = finished(ir, out, lse, checked)
    return (out, lse) if return_lse else out


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
    whole = by_sums or around or ir.over_channels or bool(ir.groups)
    if whole and getattr(q, "dtype", None) == EIGHT_BIT:
        raise AttnCallError(
            "A0625", f"`{ir.name}` does not compute with 8-bit tensors: only kernels of pairs do",
            help="convert them with .to(torch.bfloat16)",
        )  # fmt: skip
