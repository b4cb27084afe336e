"""Plans where torch must see operators: in its graphs and transforms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from attndsl.ir.bound import BoundIR
from attndsl.ir.plan import Plan
from attndsl.ir.plan_checks import check_sizes, plans_by_name, routed_branches
from attndsl.runtime.autocast import under_autocast
from attndsl.runtime.checks import check_tensors, input_tensor
from attndsl.runtime.derived import check_sources
from attndsl.runtime.plan_operators import check_lists, select_lists
from attndsl.runtime.plans import Plans, plans_of
from attndsl.runtime.targets import PatternTarget
from attndsl.runtime.transforms import needs_operators, refuse_derivatives


def plans_of_call(
    target: PatternTarget, ir: BoundIR, q: Tensor, k: Tensor, v: Tensor | None, scale: float | None,
    inputs: Mapping[str, Any], given: Any = None, shape: Sequence[int] = (),
) -> Plans:  # fmt: skip
    """As `plans_of`, also in graphs, which call the pattern `target.key`. shape: as for `attend`.

    Graphs are cut at groups, whose sizes are data.
    """
    q, k, v = under_autocast(q, k, v)
    if ir.groups or not needs_operators(q, k):
        return plans_of(ir, q, k, v, scale, inputs, given)
    routed, by_name = routed_branches(ir), plans_by_name(ir, given)
    check_tensors(ir, q, k, k if v is None else v) if not ir.derived else check_sources(ir, q, k, k)
    refuse_derivatives(q, k)
    return {
        name: _checked(each, by_name[name], q, ir.heads)
        if name in by_name
        else _selected(each, name, (q, k, v), scale, inputs, target, shape)
        for name, each in routed.items()
    }


def _checked(ir: BoundIR, plan: Plan, q: Tensor, heads: int) -> Plan:
    """A caller's plan, whose sizes are checked now, and whose numbers are when the graph runs."""
    check_sizes(ir, plan, q.shape[0], heads)
    arrays = (plan.indices, plan.counts, plan.q_units, plan.kv_units)
    indices, counts, q_units, kv_units = (None if each is None else torch.as_tensor(each) for each in arrays)
    indices, counts = check_lists(indices, counts, q_units, kv_units, list(plan.sizes))
    return replace(plan, indices=indices, counts=counts, q_units=q_units, kv_units=kv_units)


def _selected(
    ir: BoundIR, branch: str, tensors: tuple[Tensor, Tensor, Tensor | None], scale: float | None,
    inputs: Mapping[str, Any], target: PatternTarget, shape: Sequence[int],
) -> Plan:  # fmt: skip
    """A plan that is selected when the graph runs."""
    q, k, v = (None if each is None else each.detach() for each in tensors)
    given = [input_tensor(name, value).detach() for name, value in inputs.items()]
    arrays = select_lists(q, k, v, given, " ".join(inputs), target.key, list(shape), branch, scale)
    indices, counts, q_units, kv_units = arrays
    q_table, kv_table = (each if each.shape[0] else None for each in (q_units, kv_units))
    sizes = ir.query_space.size, ir.key_space.size, q_units.shape[1], kv_units.shape[1]
    return Plan(*sizes, indices, counts, q_table, kv_table)


def _context(plan: Plan) -> dict[str, Any]:
    """What is fixed of a plan in a graph: its sizes, what it is about, and which arrays it has."""
    return {"sizes": list(plan.sizes), "kinds": list(plan.kinds), "arrays": list(plan.arrays)}


def _flattened(plan: Plan) -> tuple[list[Any], dict[str, Any]]:
    return list(plan.arrays.values()), _context(plan)


def _flattened_with_keys(plan: Plan) -> tuple[list[Any], dict[str, Any]]:
    return [(pytree.GetAttrKey(name), value) for name, value in plan.arrays.items()], _context(plan)


def _restored(arrays: Iterable[Any], context: dict[str, Any]) -> Plan:
    named = dict(zip(context["arrays"], arrays, strict=True)) | {"kinds": tuple(context["kinds"])}
    return Plan(*context["sizes"], **named)


pytree.register_pytree_node(
    Plan, _flattened, _restored, serialized_type_name="attndsl.ir.plan.Plan", to_dumpable_context=dict,
    from_dumpable_context=dict, flatten_with_keys_fn=_flattened_with_keys,
)  # fmt: skip
torch.serialization.add_safe_globals([Plan])
