"""Selection: a route and tensors become a plan. Scores exist for a chunk of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import FALSE, TRUE, Const, Expr
from attndsl.ir.plan import Plan
from attndsl.ir.route import Route
from attndsl.ir.units import is_runs, tokens_of_units
from attndsl.runtime.route_scores import RouteScores, Rows, aligned, with_heads
from attndsl.runtime.route_units import SideUnits
from attndsl.runtime.select_lists import Lists, joined, lists_of, top_lists
from attndsl.runtime.select_rules import kept

CHUNK = 2**18
"""The most scores that one chunk of rows may have, where rows do not compete."""


@torch.no_grad()
def select(
    ir: BoundIR, q: Tensor, k: Tensor, v: Tensor | None, scale: float, inputs: Mapping[str, Tensor]
) -> Plan:
    """The plan of a bound pattern with a route, its lists as tensors beside q. scale: of products."""
    route = ir.route
    assert route is not None, "callers ask for the plans of routed patterns"
    scores = RouteScores(ir, route, q, k, v, scale, inputs)
    rows, keys = scores.units["q"].count(route.queries), scores.units["k"].count(route.keys)
    step = rows if "query" not in route.per else max(1, CHUNK // max(1, q.shape[0] * ir.heads * keys))
    indices, counts = joined([_chosen(scores, route, chunk, keys) for chunk in _chunks(rows, step)])
    return _plan(ir, route, scores, indices, counts)


def _chunks(rows: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, rows)) for start in range(0, max(rows, 1), max(step, 1)))


def _chosen(scores: RouteScores, route: Route, rows: slice, keys: int) -> Lists:
    """What is listed in some rows of the map."""
    value = torch.as_tensor(scores.on_rows(route.score, rows), device=scores.device).to(scores.dtype)
    among, prefer, always = (
        _condition(scores, each, rows) for each in (route.among, route.prefer, route.always)
    )
    shape = _shape([value, among, prefer, always], rows, keys)
    value = _spread_out(value, shape)
    excluded = _excluded(among, always)
    if excluded is not None:
        value = value.masked_fill(excluded, -torch.inf)
    own_pool = "query" in route.per and ("head" in route.per or shape[1] == 1)
    count = route.rule.arguments[0]
    if route.rule.name == "top" and own_pool and prefer is None and isinstance(count, Const):
        return top_lists(value, int(count.value), None if always is None else _rows_of(always, shape))
    preferred = None if prefer is None else _spread_out(prefer, shape)
    chosen = _select(scores, route, value, preferred)
    return lists_of(chosen if always is None else chosen | always)


def _excluded(among: Tensor | None, always: Tensor | None) -> Tensor | None:
    """The pairs that take no part in the selection: what is always kept does not compete."""
    if among is None or always is None:
        return always if among is None else ~among
    among, always = aligned([among, always])
    return ~among | always


def _rows_of(condition: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    """A condition on rows and keys, still one for all heads where it is that."""
    condition = condition if condition.ndim == 4 else condition.expand(1, 1, 1, 1)
    return condition.expand(*condition.shape[:2], *shape[2:])


def _condition(scores: RouteScores, root: Expr, rows: Rows) -> Tensor | None:
    """A condition of the route; None where it changes nothing."""
    if root is FALSE or root is TRUE:
        return None
    return torch.as_tensor(scores.on_rows(root, rows), device=scores.device)


def _shape(parts: list[Tensor | None], rows: slice, keys: int) -> tuple[int, int, int, int]:
    given = [each for each in parts if each is not None and each.ndim == 4]
    batch, heads = (max((each.shape[dim] for each in given), default=1) for dim in (0, 1))
    return batch, heads, rows.stop - rows.start, keys


def _spread_out(value: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    value = value if value.ndim == 4 else value.expand(1, 1, 1, 1)
    return with_heads(value, shape[1]).expand(shape)


def _select(scores: RouteScores, route: Route, value: Tensor, preferred: Tensor | None) -> Tensor:
    """Apply the rule to each pool of entries that compete."""
    batch, heads, rows, keys = value.shape
    arguments = [_argument(scores, each, heads) for each in route.rule.arguments]
    across_heads = "head" not in route.per and heads > 1
    if "query" in route.per:
        pools = (lambda x: x.transpose(1, 2).flatten(2)) if across_heads else (lambda x: x)
        chosen = kept(route.rule.name, pools(value), _maybe(pools, preferred), arguments)
        return chosen.view(batch, rows, heads, keys).transpose(1, 2) if across_heads else chosen
    start = 1 if across_heads else 2
    chosen = kept(
        route.rule.name, value.flatten(start), _maybe(lambda x: x.flatten(start), preferred),
        [each.flatten(1) if isinstance(each, Tensor) and each.ndim == 4 else each for each in arguments],
    )  # fmt: skip
    return chosen.view(value.shape)


def _maybe(function: Any, value: Tensor | None) -> Tensor | None:
    return None if value is None else function(value)


def _argument(scores: RouteScores, root: Expr, heads: int) -> Any:
    if isinstance(root, Const):
        return root.value
    return scores.on_rows(root, slice(0, 1))


# ---------------------------------------------------------------- units


def _plan(ir: BoundIR, route: Route, scores: RouteScores, indices: Tensor, counts: Tensor) -> Plan:
    queries, keys = scores.units["q"], scores.units["k"]
    q_table, q_block = _units(queries, route.queries)
    k_table, k_block = _units(keys, route.keys)
    return Plan(
        ir.query_space.size, ir.key_space.size, q_block, k_block, indices, counts, q_table, k_table
    )


def _units(side: SideUnits, name: str) -> tuple[Tensor | None, int]:
    """The table of a side's units, None where they are runs, and the most tokens in one."""
    unit = side.of_token(name)
    block = int(np.bincount(unit).max()) if len(unit) else 1
    if len(side.space.segments) == 1 and is_runs(unit, block):
        return None, block
    table = tokens_of_units(unit, side.count(name))
    return torch.from_numpy(table.astype(np.int32)).to(side.device), block
