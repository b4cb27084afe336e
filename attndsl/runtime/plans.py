"""The plans of a call: selected from its tensors, or given by the caller and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR
from attndsl.ir.plan import Plan
from attndsl.ir.plan_checks import checked_plan, plans_by_name, routed_branches
from attndsl.ir.reads import inputs_read
from attndsl.ir.route import Vectors
from attndsl.runtime.autocast import without_autocast
from attndsl.runtime.checks import check_inputs, check_tensors, scale_of
from attndsl.runtime.derived import check_sources, derived_tensors
from attndsl.runtime.outside_of_graphs import outside_of_graphs
from attndsl.runtime.select import Shared, select

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
    routed, by_name = routed_branches(ir), plans_by_name(ir, given)
    check_tensors(ir, q, k, k if v is None else v) if not ir.derived else check_sources(ir, q, k, k)
    if torch.compiler.is_exporting():
        what = "groups" if ir.groups else "reference"
        raise AttnCallError(
            "A0698", f"the {what} of `{ir.name}` cannot be put into a graph by `torch.export`",
            help="export what comes before and after, or a pattern of masks, branches or routes itself",
        )  # fmt: skip
    from attndsl.runtime.transforms import refuse_derivatives  # which knows the operators that call this

    refuse_derivatives(q, k)
    return _plans(ir, routed, by_name, q, k, v, scale, inputs)


@outside_of_graphs
def _plans(
    ir: BoundIR, routed: Mapping[str, BoundIR], given: Plans, q: Tensor, k: Tensor, v: Tensor | None,
    scale: float | None, inputs: Mapping[str, Any],
) -> Plans:  # fmt: skip
    """The caller's plans if they fit; the others are selected."""
    shared: Shared = {}
    return {
        name: checked_plan(each, given[name], len(q), ir.heads)
        if name in given
        else selected(each, q, k, v, scale, inputs, shared)
        for name, each in routed.items()
    }


def _refuse_vmap(*tensors: Tensor | None) -> None:
    if any(each is not None and torch._C._functorch.is_batchedtensor(each) for each in tensors):
        raise AttnCallError(
            "A0697", "a route cannot select inside torch.vmap, where lists would differ in length",
            help="make the plan outside, and pass it as plan=",
        )  # fmt: skip


def selected(
    ir: BoundIR, q: Tensor, k: Tensor, v: Tensor | None, scale: float | None, inputs: Mapping[str, Any],
    shared: Shared | None = None,
) -> Plan:  # fmt: skip
    """The plan that the route of a pattern or branch selects from the caller's tensors.

    shared: what the routes of one call have in common.
    """
    assert ir.route is not None, "callers ask for the plans of routed patterns"
    _refuse_vmap(q, k, v)
    nodes = {node for root in ir.route.expressions for node in root.mentioned}
    if v is None and Vectors("v") in nodes:
        raise AttnCallError("A0691", f"the route of `{ir.name}` reads values", help="pass v=")
    names = inputs_read(ir.route)
    own = replace(ir, inputs=tuple(each for each in ir.inputs if each.name in names))
    given = {name: value for name, value in inputs.items() if name in names}
    checked = check_inputs(own, given, len(q), (k if v is None else v).shape[3], q.shape[3])
    factor = scale_of(ir, scale, q.shape[3])
    with without_autocast(q):
        if ir.derived is not None:
            q, k, v = derived_tensors(ir, q, k, k if v is None else v, {})
        return select(ir, q, k, v, factor, checked, shared)
