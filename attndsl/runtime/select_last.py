"""Selection for the last queries: the plan of their rows alone, from the keys of all tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import Expr, Side
from attndsl.ir.plan import Plan
from attndsl.ir.route import Route
from attndsl.ir.route_units import route_table
from attndsl.passes.route_grains import Grain
from attndsl.runtime.reference import CHUNK
from attndsl.runtime.route_places import Place
from attndsl.runtime.route_scores import RouteScores
from attndsl.runtime.route_units import SideUnits, sides
from attndsl.runtime.select import lists_of_rows
from attndsl.runtime.select_lists import joined

KEPT = 16
"""Patterns and lengths whose units are remembered."""


@torch.no_grad()
def select_last(
    ir: BoundIR, q: Tensor, k: Tensor, v: Tensor, scale: float, inputs: Mapping[str, Tensor]
) -> Plan:
    """The plan of the last rows of a pattern whose route decides row by row, see `passes/row_by_row.py`.

    q: [batch, heads, count, D] of the last queries; k and v of all tokens. Each query has a list of its own.
    """
    route = ir.route
    assert route is not None, "callers ask for the plans of routed patterns"
    if any(torch._C._functorch.is_batchedtensor(each) for each in (q, k, v)):
        raise AttnCallError(
            "A0697",
            "a route cannot select inside torch.vmap, where lists of the last rows would differ in length",
            help="use the batch dimension of q, k and v",
        )
    first = ir.query_space.size - q.shape[2]
    scores = _LastScores(ir, route, q, k, v, scale, inputs, first)
    unit = scores.units["q"].of_token(route.queries)[first:]
    start, stop = (int(unit.min()), int(unit.max()) + 1) if len(unit) else (0, 0)
    step = max(1, CHUNK // max(1, q.shape[0] * ir.heads * k.shape[2]))
    chunks = [slice(row, min(row + step, stop)) for row in range(start, max(stop, start + 1), step)]
    parts = ((_moved(rows, start), lists_of_rows(scores, route, rows)) for rows in chunks)
    indices, counts = joined(stop - start, parts)
    own = torch.from_numpy(unit - start).to(q.device)
    table, block = route_table(ir, "k")
    return Plan(q.shape[2], k.shape[2], 1, block, indices[:, :, own], counts[:, :, own], None, table)


class _LastScores(RouteScores):
    """The scores of a route whose queries are the last ones. first: the number of the first of them."""

    def __init__(
        self, ir: BoundIR, route: Route, q: Tensor, k: Tensor, v: Tensor, scale: float,
        inputs: Mapping[str, Tensor], first: int,
    ) -> None:  # fmt: skip
        super().__init__(ir, route, q, k, v, scale, inputs)
        self.units, self._grains = _of_length(ir, q.device)
        self._first = first

    def _vectors(self, name: str, place: Place) -> Tensor:
        if name == "q":
            rows = place.rows
            own = _moved(rows, self._first) if isinstance(rows, slice) else rows - self._first
            place = replace(place, rows=own)
        return super()._vectors(name, place)


def _moved(rows: slice, first: int) -> slice:
    """The same rows, counted from `first` on."""
    return slice(rows.start - first, rows.stop - first)


@lru_cache(KEPT)
def _of_length(
    ir: BoundIR, device: torch.device
) -> tuple[dict[Side, SideUnits], dict[Expr, Mapping[Expr, Grain]]]:
    """Units and grains, which do not depend on tensors: all layers of a model share them at one step."""
    assert ir.route is not None, "callers ask for the plans of routed patterns"
    return sides(ir, ir.route, device), {}
