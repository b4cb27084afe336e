"""The plans of a call: selected from its tensors, or given by the caller and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import InputAt, InputElement
from attndsl.ir.plan import Plan, as_numpy, unit_count
from attndsl.ir.route import Vectors
from attndsl.runtime.checks import check_inputs, check_tensors, scale_of
from attndsl.runtime.derived import check_sources, derived_tensors
from attndsl.runtime.select import select

Plans = Mapping[str, Plan]
"""By the name of the branch that is routed; '' is a pattern without branches."""


def plans_of(
    ir: BoundIR, q: Tensor, k: Tensor, v: Tensor | None, scale: float | None, inputs: Mapping[str, Any],
    given: Any = None,
) -> Plans:  # fmt: skip
    """A plan for every route of a bound pattern. given: the caller's, for all of its routes or some.

    Raises AttnCallError: A0690 for a pattern without routes, A0691 where values are needed, A0692 to A0695
    for plans that do not fit.
    """
    routed = {each.branch: each for each in (ir.branches or (ir,)) if each.route is not None}
    if not routed:
        raise no_route(ir.name)
    check_tensors(ir, q, k, k if v is None else v) if not ir.derived else check_sources(ir, q, k, k)
    by_name = _by_name(ir, routed, given)
    return {
        name: _checked(ir, by_name[name], q) if name in by_name else _select(each, q, k, v, scale, inputs)
        for name, each in routed.items()
    }


def no_route(name: str) -> AttnCallError:
    """The error for a plan of a pattern that has none."""
    return AttnCallError(
        "A0690", f"pattern `{name}` has no route, so there is nothing to plan", help="leave out the plan"
    )


def _select(
    ir: BoundIR, q: Tensor, k: Tensor, v: Tensor | None, scale: float | None, inputs: Mapping[str, Any]
) -> Plan:
    assert ir.route is not None
    nodes = {node for root in ir.route.expressions for node in root.mentioned}
    if v is None and Vectors("v") in nodes:
        raise AttnCallError("A0691", f"the route of `{ir.name}` reads values", help="pass v=")
    names = {node.name for node in nodes if isinstance(node, InputAt | InputElement)}
    own = replace(ir, inputs=tuple(each for each in ir.inputs if each.name in names))
    given = {name: value for name, value in inputs.items() if name in names}
    checked = check_inputs(own, given, len(q), (k if v is None else v).shape[3], q.shape[3])
    factor = scale_of(ir, scale, q.shape[3])
    if ir.derived is not None:
        q, k, v = derived_tensors(ir, q, k, k if v is None else v, {})
    return select(ir, q, k, v, factor, checked)


# ---------------------------------------------------------------- plans that are given


def _by_name(ir: BoundIR, routed: Mapping[str, BoundIR], given: Any) -> dict[str, Any]:
    """What the caller gave, by branch."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        unknown = [name for name in given if name not in routed]
        if unknown:
            raise AttnCallError(
                "A0695", f"pattern `{ir.name}` has no routed branch `{unknown[0]}`",
                help=f"its routed branches: {', '.join(routed) if ir.branches else 'none'}",
            )  # fmt: skip
        return dict(given)
    if len(routed) > 1:
        raise AttnCallError(
            "A0695", f"pattern `{ir.name}` has {len(routed)} routes, one plan given",
            help="pass plan={{{}}}".format(", ".join(f'"{name}": ...' for name in routed)),
        )  # fmt: skip
    return dict.fromkeys(routed, given)


def _checked(ir: BoundIR, plan: Any, q: Tensor) -> Plan:
    """A plan that fits a pattern and its queries."""
    if not isinstance(plan, Plan):
        raise AttnCallError(
            "A0695", f"a plan is wanted, {type(plan).__name__} given",
            help="pass what `bound.plan(q, k)` returns",
        )  # fmt: skip
    queries, keys = ir.query_space.size, ir.key_space.size
    if (plan.queries, plan.keys) != (queries, keys):
        raise AttnCallError(
            "A0692", f"the plan is for {plan.queries} queries and {plan.keys} keys,"
            f" `{ir.name}` is bound to {queries} and {keys}", help="make a plan for these tensors",
        )  # fmt: skip
    if plan.batch not in (1, len(q)) or not plan.heads or ir.heads % plan.heads:
        raise AttnCallError(
            "A0693", f"the plan is for a batch of {plan.batch} and {plan.heads} heads,"
            f" q has {len(q)} and {ir.heads}", help="make a plan for these tensors",
        )  # fmt: skip
    problem = next(_problems(plan), None)
    if problem:
        raise AttnCallError(
            "A0694", f"this is no plan: {problem}",
            help="lists hold key units in ascending order, padded with -1; `bound.plan(q, k)` makes them",
        )  # fmt: skip
    return plan


def _problems(plan: Plan) -> Iterator[str]:
    """What is wrong with the arrays of a plan; kernels trust them."""
    units = (plan.queries, plan.q_block, plan.q_units), (plan.keys, plan.kv_block, plan.kv_units)
    for tokens, block, table in units:
        if block < 1 or (table is not None and not _is_partition(as_numpy(table), tokens, block)):
            yield "its units are no partition of the tokens"
            return
    lists, counts = as_numpy(plan.indices), as_numpy(plan.counts)
    shape = plan.batch, plan.heads, unit_count(*units[0])
    if lists.ndim != 4 or lists.shape[:3] != shape or counts.shape != shape:
        yield f"its lists have the shape {lists.shape}, for {shape} lists"
    elif lists.dtype != np.int32 or counts.dtype != np.int32:
        yield f"its arrays are {lists.dtype} and {counts.dtype}, not int32"
    elif not np.array_equal((lists >= 0).sum(-1), counts):
        yield "its counts are not the lengths of its lists"
    elif lists.size and not (lists.min() >= -1 and lists.max() < plan.key_units and _ascends(lists)):
        yield f"a list is not ascending, or leaves the {plan.key_units} key units"


def _is_partition(table: np.ndarray[Any, Any], tokens: int, block: int) -> bool:
    if table.ndim != 2 or table.shape[1] != block:
        return False
    return np.array_equal(np.sort(table[table >= 0]), np.arange(tokens))


def _ascends(lists: np.ndarray[Any, Any]) -> bool:
    """Whether each list ascends, with its padding at the end."""
    ends = np.where(lists < 0, np.iinfo(np.int32).max, lists).astype(np.int64)
    steps = np.diff(ends, axis=-1)
    return bool(np.all((steps > 0) | (lists[..., 1:] < 0)))
