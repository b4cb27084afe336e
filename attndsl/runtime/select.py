"""Selection: a route and tensors become a plan. Scores exist for a chunk of rows at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import Const, Expr
from attndsl.ir.plan import Plan
from attndsl.ir.plan_checks import kinds_of
from attndsl.ir.route import Route
from attndsl.ir.route_numbers import list_heads
from attndsl.passes.route_grains import grains
from attndsl.runtime.plan_units import plan_of
from attndsl.runtime.route_places import with_heads
from attndsl.runtime.route_scores import RouteScores
from attndsl.runtime.select_conditions import Conditions, conditions
from attndsl.runtime.select_lists import Lists, joined, lists_of, top_lists, widened
from attndsl.runtime.select_rules import first_of_all, kept
from attndsl.runtime.select_top import has_kernel, top_rows

CHUNK = 2**21
"""The most scores that one chunk of rows may have, where rows do not compete."""

FEWEST_ROWS = 16
"""Rows of a chunk, however many scores that are: keys are read once for all of them."""

Shared = dict[object, RouteScores]
"""Pooled tokens of a call, by what they depend on: branches over the same blocks pool once."""


@torch.no_grad()
def select(
    ir: BoundIR, q: Tensor, k: Tensor, v: Tensor | None, scale: float, inputs: Mapping[str, Tensor],
    shared: Shared | None = None,
) -> Plan:  # fmt: skip
    """The plan of a bound pattern with a route, its lists as tensors beside q. scale: of products.

    shared: of the branches of a pattern, filled as they select.
    """
    route = ir.route
    k = q if ir.members == "queries" else k
    assert route is not None, "callers ask for the plans of routed patterns"
    scores = _scores(ir, route, (q, k, v), scale, inputs, {} if shared is None else shared)
    rows, keys = scores.units["q"].count(route.queries), scores.units["k"].count(route.keys)
    own = CHUNK // max(1, q.shape[0] * ir.heads * _cells(scores, route))
    step = max(FEWEST_ROWS, own if route.per == ("query",) else rows)
    chunks = ((chunk, _chosen(scores, route, chunk, keys)) for chunk in _chunks(rows, step))
    lists = joined(rows, chunks) if q.shape[0] else _of_none(list_heads(ir), rows, q.device)
    found = plan_of(route, scores.units["q"], scores.units["k"], lists)
    return replace(found, kinds=kinds_of(ir))


def _of_none(heads: int, rows: int, device: torch.device) -> Lists:
    """The lists of a batch of no elements."""
    counts = torch.zeros((0, heads, rows), dtype=torch.int32, device=device)
    return counts.new_zeros((0, heads, rows, 0)), counts


def _scores(
    ir: BoundIR, route: Route, tensors: tuple[Tensor, Tensor, Tensor | None], scale: float,
    inputs: Mapping[str, Tensor], shared: Shared,
) -> RouteScores:  # fmt: skip
    """What evaluates the route's scores: that of another branch over the same blocks, if there is one."""
    units = route.queries, route.keys, route.blocks, ir.query_space, ir.key_space
    key = *units, ir.heads, ir.kv_heads, *map(id, tensors), scale, tuple(sorted(inputs))
    if key not in shared:
        shared[key] = RouteScores(ir, route, *tensors, scale, inputs)  # which keeps the tensors alive
    return shared[key]


def _cells(scores: RouteScores, route: Route) -> int:
    """The most entries that one row of the map needs at once, its own or those of a finer map inside."""
    queries, keys = scores.units["q"], scores.units["k"]
    rows = max(queries.count(route.queries), 1)
    found = (grain for root in route.expressions for grain in grains(root, lambda _: None).values())
    maps = {(each.query, each.key) for each in found if each.query is not None and each.key is not None}
    sizes = [queries.count(query) * keys.count(key) for query, key in maps]
    return max(1, keys.count(route.keys), *(-(-size // rows) for size in sizes))


def _chunks(rows: int, step: int) -> Iterator[slice]:
    """The last rows first: of causal routes they have the longest lists, and need the most memory."""
    starts = reversed(range(0, max(rows, 1), step))
    return (slice(start, min(start + step, rows)) for start in starts)


def _chosen(scores: RouteScores, route: Route, rows: slice, keys: int) -> Lists:
    """What is listed in some rows of the map."""
    found = conditions(scores, route, rows)
    columns = found.competing(keys)
    value = torch.as_tensor(scores.on_rows(route.score, rows, keys=columns), device=scores.device)
    shape = _shape([value, *found.given], rows, columns)
    value = _spread_out(value.to(scores.dtype), shape)
    count = _few(scores, route, found, keys)
    if count is not None and has_kernel(value):
        classes, always = found.classes(columns, shape[1]), found.always_lists(shape[2], keys)
        return top_rows(value, classes, always, found.place, columns.start, count)
    value = _taking_part(value, found, columns)
    preferred = None if found.prefer is None else _spread_out(found.on_rows(found.prefer, columns), shape)
    if count is not None:
        always = found.always_lists(shape[2], keys)
        always = None if always is None else found.on_rows(always).expand(-1, -1, shape[2], -1)
        return top_lists(first_of_all(value, preferred), count, always, columns, keys)
    chosen = widened(_select(scores, route, value, preferred), columns, keys)
    return lists_of(chosen if found.always is None else chosen | found.on_rows(found.always))


def _few(scores: RouteScores, route: Route, found: Conditions, keys: int) -> int | None:
    """How many of each row are kept, where that is one number for all and no fewer than come first."""
    if route.rule.name != "top" or route.per != ("query",):
        return None
    count = _argument(scores, route.rule.arguments[0], 3)
    return max(count, 0) if isinstance(count, int) and found.most_first(keys) <= count else None


def _taking_part(value: Tensor, found: Conditions, columns: slice) -> Tensor:
    """The scores of some columns, -inf where an entry takes no part in the selection."""
    if found.excluded is None:
        return value
    return value.masked_fill(found.on_rows(found.excluded, columns), -torch.inf)


def _shape(parts: list[Tensor], rows: slice, columns: slice) -> tuple[int, int, int, int]:
    given = [each for each in parts if each.ndim == 4]
    batch, heads = (max((each.shape[dim] for each in given), default=1) for dim in (0, 1))
    return batch, heads, rows.stop - rows.start, columns.stop - columns.start


def _spread_out(value: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    value = value if value.ndim == 4 else value.expand(1, 1, 1, 1)
    return with_heads(value, shape[1]).expand(shape)


def _select(scores: RouteScores, route: Route, value: Tensor, preferred: Tensor | None) -> Tensor:
    """Apply the rule to each pool of entries that compete."""
    shape = value.shape
    competing = {"query": 3, "head": 2, "all": 1}[route.per[0]]
    arguments = [_argument(scores, each, competing) for each in route.rule.arguments]
    if route.rule.name == "top":
        arguments = [arguments[0] * math.prod(shape[competing:3])]
    flat = None if preferred is None else preferred.flatten(competing)
    return kept(route.rule.name, value.flatten(competing), flat, arguments).view(shape)


def _argument(scores: RouteScores, root: Expr, competing: int) -> Any:
    """A number, or one per head."""
    if isinstance(root, Const):
        return root.value
    value = scores.on_rows(root, slice(0, 1))
    return value.flatten(competing) if competing > 1 else value.amax()


def lists_of_rows(scores: RouteScores, route: Route, rows: slice) -> Lists:
    """What is listed in some rows of the map, among which no entries compete with those of others."""
    return _chosen(scores, route, rows, scores.units["k"].count(route.keys))
