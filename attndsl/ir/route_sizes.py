"""How large the plans of a route can get, whatever the data are: graphs hold tensors of known sizes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import FALSE, Const, Position
from attndsl.ir.plan import unit_count
from attndsl.ir.route import BlockIndex, Route
from attndsl.ir.route_numbers import Units, condition, list_heads, units_of
from attndsl.ir.route_units import route_table

Table = NDArray[Any]

CHUNK = 2**22
"""Entries of the map at which `always` is looked at together."""

MOST_ENTRIES = 2**28
"""Entries of a map that is looked at as a whole."""

KEPT = 64
"""Patterns whose sizes are remembered."""


@dataclass(frozen=True, eq=False)
class PlanSizes:
    """The sizes of a plan. heads: with lists of their own. rows: query units. most: the most kept key units.

    q_units, kv_units: see `Plan`.
    """

    heads: int
    rows: int
    most: int
    q_block: int
    kv_block: int
    q_units: Table | None
    kv_units: Table | None


@lru_cache(KEPT)
def plan_sizes(ir: BoundIR) -> PlanSizes:
    """The sizes that every plan of a bound pattern's route fits into."""
    (q_units, q_block), (kv_units, kv_block) = route_table(ir, "q"), route_table(ir, "k")
    queries, keys = units_of(ir, "q"), units_of(ir, "k")
    rows = unit_count(ir.query_space.size, q_block, q_units)
    every = unit_count(ir.key_space.size, kv_block, kv_units)
    # tokens of other segments are seen by all, and see all
    most = every if rows > queries.count else _most_listed(ir, queries, keys) + every - keys.count
    return PlanSizes(list_heads(ir), rows, most, q_block, kv_block, q_units, kv_units)


def _most_listed(ir: BoundIR, queries: Units, keys: Units) -> int:
    """The most key units in a list, of the segment that the route is about."""
    assert ir.route is not None, "callers ask for the plans of routed patterns"
    chosen = _most_chosen(ir.route, keys.count)
    if chosen < keys.count and ir.route.always is not FALSE:
        chosen += _most_always(ir.route, queries, keys)
    return min(chosen, keys.count)


def _most_chosen(route: Route, keys: int) -> int:
    """What the rule keeps of a row at most; all, where rows compete or the data decide."""
    numbers = [each.value for each in route.rule.arguments if isinstance(each, Const)]
    if route.per[0] != "query" or len(numbers) != len(route.rule.arguments):
        return keys
    match route.rule.name, numbers:
        case (("top" | "halves"), [count]):
            return max(int(count), 0)
        case "ranks", [first, last]:
            return max(int(last) - int(first), 0)
    return keys


def _different_rows(route: Route, queries: Units) -> Table:
    """Query units, one of all those for which `always` must hold for the same keys."""
    nodes = route.always.mentioned
    if any(isinstance(node, Position) and node.side == "q" for node in nodes):
        return np.arange(queries.count)
    names = {node.blocks for node in nodes if isinstance(node, BlockIndex) and node.side == "q"}
    places = [np.zeros(queries.count, dtype=np.int64), *(queries.blocks(name) for name in sorted(names))]
    return np.unique(np.stack(places), axis=1, return_index=True)[1]


def _most_always(route: Route, queries: Units, keys: Units) -> int:
    """The most key units of a row for which `always` holds; all, where that depends on the data."""
    different = _different_rows(route, queries)
    if len(different) * keys.count > MOST_ENTRIES:
        return keys.count
    step, most = max(1, CHUNK // max(keys.count, 1)), 0
    for start in range(0, len(different), step):
        found = condition(route.always, queries, keys, different[start : start + step])
        if found is None:
            return keys.count
        listed = np.broadcast_to(found, (len(found), keys.count)).sum(1)
        most = max(most, int(listed.max(initial=0)))
    return most
