"""Which tiles of a plan meet, as lists that Triton kernels read, made where the plan's lists are.

A list has room for every tile of every unit that a plan names. What the static mask hides is left out of it:
interval arithmetic over the coordinates of each tile decides, as it does for all other kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from attndsl.codegen.triton_visits import RESIDUAL_SHIFT
from attndsl.ir.bound import BoundIR, Segment
from attndsl.ir.expr import TRUE, Expr, InputAt, Position
from attndsl.ir.plan import Plan
from attndsl.passes.simplify import simplify
from attndsl.runtime.routed_layout import Rows
from attndsl.runtime.triton_intervals import Range, Truth, Value, truth

FULL, PARTIAL, EMPTY = range(3)


@dataclass(frozen=True, eq=False)
class Visits:
    """Pairs of tiles. column: int64 [lists, q tiles, most], the kv tiles of each. kind: FULL and so on."""

    column: Tensor
    kind: Tensor


def visits(
    ir: BoundIR, plan: Plan, lists: Tensor, queries: Rows, keys: Rows, q_tile: int, kv_tile: int
) -> Visits:
    """The pairs of tiles that lists name. lists: the plan's, int64 [lists, query units, most]."""
    units = queries.units(q_tile)
    if queries.places is None:
        named = lists[:, units[0]]
    else:
        named = torch.where(units < plan.key_units, units, -1).unsqueeze(2)
    parts = keys.count // kv_tile // max(plan.key_units, 1)
    inside = torch.arange(parts, device=named.device)
    column = torch.where(named.unsqueeze(3) < 0, -1, named.unsqueeze(3) * parts + inside).flatten(2)
    own, other = queries.tiles(q_tile), keys.tiles(kv_tile)[0]
    known = column.clamp(min=0)
    found = _truth(ir, own, other, known)
    counts = (own >= 0).sum(-1, keepdim=True), (other >= 0).sum(-1)[known]
    exists = (column >= 0) & found.may_hold & (counts[0] > 0) & (counts[1] > 0)
    partial = found.may_fail | (counts[0] < q_tile) | (counts[1] < kv_tile)
    return Visits(column, torch.where(exists, partial.long(), EMPTY))


def listed(found: Visits, tiles: int, by_key: bool, owners: int) -> dict[str, Tensor]:
    """`records` [lists, owner tiles, 3] and `tiles`, as kernels read them: FULL tiles first.

    tiles: of queries that kernels know of. by_key: whether tiles of keys own lists, of tiles of queries.
    owners: how many tiles do.
    """
    column, kind = (each[:, :tiles].flatten(1) for each in (found.column, found.kind))
    row = torch.arange(tiles, device=column.device).repeat_interleave(found.column.shape[2]).expand_as(column)
    owner, other = (column, row) if by_key else (row, column)
    place = torch.where(kind == EMPTY, 2 * owners, owner * 2 + kind)
    order = torch.argsort(place.to(torch.int32), dim=1, stable=True)
    entries = (other + (kind << RESIDUAL_SHIFT)).to(torch.int32).gather(1, order)
    counts = place.new_zeros((len(place), 2 * owners + 1)).scatter_add_(1, place, torch.ones_like(place))
    end = torch.cumsum(counts[:, :-1], 1).unflatten(1, (owners, 2))  # type: ignore[no-untyped-call]
    first = end[..., :1] - counts[:, :-1].unflatten(1, (owners, 2))[..., :1]  # type: ignore[no-untyped-call]
    start = torch.arange(len(place), device=place.device).view(-1, 1, 1) * place.shape[1]
    records = torch.cat([first, end], 2) + start
    return {
        "records": records.to(torch.int32),
        "tiles": torch.nn.functional.pad(entries.flatten(), (0, 1)),
    }


def _truth(ir: BoundIR, queries: Tensor, keys: Tensor, column: Tensor) -> Truth:
    """Whether the mask may hold and may fail in pairs of tiles. queries, keys: the tokens of tiles."""
    masks = [simplify(region.visible) for region in ir.regions]
    nothing = torch.zeros_like(column, dtype=torch.bool)
    if all(mask is TRUE for mask in masks):
        return Truth(~nothing, nothing)
    own = [_Box(each, queries) for each in ir.query_space.segments]
    other = [_Box(each, keys) for each in ir.key_space.segments]
    holds, fails = nothing, nothing
    for region, mask in zip(ir.regions, masks, strict=True):
        q, k = own[region.query], other[region.key]
        here = q.some.unsqueeze(-1) & k.some[column]
        found = _of_boxes(mask, q, k, column)
        holds, fails = holds | (here & found.may_hold), fails | (here & found.may_fail)
    return Truth(holds, fails)


class _Box:
    """The least and largest coordinates of those tokens of each tile that lie in a segment.

    some: whether there are any, bool [.., tiles].
    """

    def __init__(self, segment: Segment, tokens: Tensor) -> None:
        place = tokens.long() - segment.offset
        inside = (tokens >= 0) & (place >= 0) & (place < segment.size)
        self.some = inside.any(-1)
        self.axes: list[Range] = []
        for axis, extent in enumerate(segment.extents):
            inner = max(prod(segment.extents[axis + 1 :]), 1)
            coordinate = place // inner % max(extent, 1)
            low = torch.where(inside, coordinate, extent).amin(-1)
            self.axes.append(Range(low, torch.where(inside, coordinate, -1).amax(-1)))


def _of_boxes(mask: Expr, queries: _Box, keys: _Box, column: Tensor) -> Truth:
    """Whether a mask may hold and may fail between boxes. What inputs say is not known."""

    def leaf(node: InputAt | Position) -> Value:
        if not isinstance(node, Position) or not isinstance(node.axis, int):
            return None
        if node.side == "q":
            own = queries.axes[node.axis]
            return Range(own.low.unsqueeze(-1), own.high.unsqueeze(-1))
        other = keys.axes[node.axis]
        return Range(other.low[column], other.high[column])

    found = truth(mask, leaf)
    return found or Truth(*[torch.ones_like(column, dtype=torch.bool)] * 2)
