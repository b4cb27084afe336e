"""The operators `attndsl::select` and `attndsl::check_plan`: how plans are made and read in torch's graphs.

A graph holds tensors of known sizes, so that the lists of its plans are as long as the route can make them
(`ir/route_sizes.py`), padded with -1. Otherwise they are those of every other plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.library import custom_op, register_fake

from attndsl.ir.bound import BoundIR
from attndsl.ir.plan import Plan
from attndsl.ir.plan_checks import check_arrays, routed_branches
from attndsl.ir.route_sizes import plan_sizes
from attndsl.runtime.plans import selected
from attndsl.runtime.route_places import with_heads
from attndsl.runtime.targets import PatternTarget, Target, find, keep


@custom_op("attndsl::select", mutates_args=())
def select_lists(
    q: Tensor,
    k: Tensor,
    v: Tensor | None,
    inputs: Sequence[Tensor],
    names: str,
    target: str,
    shape: Sequence[int],
    branch: str,
    scale: float | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The arrays of a plan: indices, counts, q_units and kv_units.

    Units that are runs have no rows. target, shape: as for `attndsl::attention`. branch: the one that is
    routed, by name.
    """
    ir = _routed(find(target), branch, q, k, shape)
    plan = selected(ir, q, k, v, scale, dict(zip(names.split(), inputs, strict=True)))
    sizes = plan_sizes(ir)
    indices = torch.nn.functional.pad(plan.indices, (0, sizes.most - plan.indices.shape[3]), value=-1)
    counts = plan.counts.unsqueeze(3)
    lists = (
        with_heads(each, sizes.heads).expand(len(q), -1, -1, -1).contiguous() for each in (indices, counts)
    )
    indices, counts = lists
    units = (plan.q_units, plan.q_block), (plan.kv_units, plan.kv_block)
    q_units, kv_units = (indices.new_empty((0, size)) if each is None else each for each, size in units)
    return indices, counts.squeeze(3), q_units, kv_units


def _routed(target: Target, branch: str, q: Tensor, k: Tensor, shape: Sequence[int]) -> BoundIR:
    ir = cast(PatternTarget, target).around(q, k, shape)
    assert ir is not None, "patterns with a route need more than a kernel"
    return routed_branches(ir)[branch]


def _select_shapes(
    q: Tensor, k: Tensor, v: Any, inputs: Any, names: str, target: str, shape: Sequence[int], branch: str,
    scale: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    sizes = plan_sizes(_routed(keep(target), branch, q, k, shape))
    units = (sizes.q_units, sizes.q_block), (sizes.kv_units, sizes.kv_block)
    tables = ((0, size) if each is None else each.shape for each, size in units)
    lists = q.shape[0], sizes.heads, sizes.rows
    shapes = ((*lists, sizes.most), lists, *tables)
    indices, counts, q_units, kv_units = (q.new_empty(each, dtype=torch.int32) for each in shapes)
    return indices, counts, q_units, kv_units


@custom_op("attndsl::check_plan", mutates_args=())
def check_lists(
    indices: Tensor, counts: Tensor, q_units: Tensor | None, kv_units: Tensor | None, sizes: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """The lists of a plan that a caller gave, once they are known to be right. sizes: of the plan.

    Raises AttnCallError A0694.
    """
    queries, keys, q_block, kv_block = sizes
    check_arrays(Plan(queries, keys, q_block, kv_block, indices, counts, q_units, kv_units))
    return indices.clone(), counts.clone()


def _check_shapes(indices: Tensor, counts: Tensor, *arguments: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(indices), torch.empty_like(counts)


register_fake("attndsl::select", _select_shapes)
register_fake("attndsl::check_plan", _check_shapes)
