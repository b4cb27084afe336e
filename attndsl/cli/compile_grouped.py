"""`attndsl compile` of patterns with groups: the kernel of what is inside of a group.

Where the members of each group stand is among its inputs, so that one kernel serves all groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attndsl.ir.expr import Const
from attndsl.ir.route_units import route_table
from attndsl.passes.inside_group import filled, inside_group

if TYPE_CHECKING:
    from attndsl.ir.bound import BoundIR
    from attndsl.pipeline import Bound


def inside_of_groups(bound: Bound) -> Bound:
    """The pattern inside of groups, of as many members as routes keep, or of all tokens where data decide."""
    from attndsl.pipeline import Bound

    return Bound(inside_group(bound.ir, *(filled(_most(each)) for each in bound.ir.groups)))


def _most(ir: BoundIR) -> int:
    """Members of a group. ir: the map of groups and tokens."""
    assert ir.route is not None, "the maps of groups have routes"
    rule, tokens = ir.route.rule, ir.key_space.size
    count = rule.arguments[0]
    if rule.name != "top" or ir.route.per != ("query",) or not isinstance(count, Const):
        return tokens
    return min(int(count.value) * route_table(ir, "k")[1], tokens)
