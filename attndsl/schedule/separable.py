"""Masks that are products over the axes, such as windows in two and three dimensions: finding the factors.

If no factor of a conjunction mentions two axes of one side, each axis can be classified alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attndsl.ir.bound import Segment
from attndsl.ir.expr import Const, Expr, InputAt, Position
from attndsl.passes.simplify import substitute
from attndsl.schedule.decide import conjunction, conjuncts
from attndsl.schedule.region import Region
from attndsl.schedule.tiling import AxisTiling, SegmentTiling

NO_AXIS = AxisTiling(1, 1)
"""Stands for the other side of a factor that mentions only queries or only keys."""


@dataclass(frozen=True)
class Component:
    """Factors of the mask that mention at most one query axis and one key axis; None stands for none."""

    query: int | None
    key: int | None
    factors: tuple[Expr, ...]


def components(region: Region, root: Expr) -> list[Component] | None:
    """The mask as a product: one component per key axis, then those of single query axes; else None."""
    queries, keys = len(region.axes.query), len(region.axes.key)
    factors: dict[tuple[int | None, int | None], list[Expr]] = {}
    if isinstance(root, Const) or queries + keys == 2:
        return None
    for factor in conjuncts(root):
        axes = _axes_of(factor)
        if axes is None or any(isinstance(leaf, InputAt) for leaf in factor.leaves):
            return None
        factors.setdefault(axes, []).append(factor)
    partners = {key: query for query, key in factors if query is not None and key is not None}
    pairs = [axes for axes in factors if None not in axes]
    if len({query for query, _ in pairs}) < len(pairs) or len(partners) < len(pairs):
        return None
    found = [_component(partners.get(key), key, factors) for key in range(keys)]
    alone = [query for query, key in factors if key is None and query not in partners.values()]
    return [*found, *(_component(query, None, factors) for query in alone)]


def _axes_of(factor: Expr) -> tuple[int | None, int | None] | None:
    """The query axis and the key axis of a factor; None if it mentions two axes of one side."""
    positions = [leaf for leaf in factor.leaves if isinstance(leaf, Position)]
    query = [int(p.axis) for p in positions if p.side == "q" and isinstance(p.axis, int)]
    key = [int(p.axis) for p in positions if p.side == "k" and isinstance(p.axis, int)]
    if len(query) > 1 or len(key) > 1:
        return None
    return (query[0] if query else None, key[0] if key else None)


def _component(
    query: int | None, key: int | None, factors: Mapping[tuple[int | None, int | None], list[Expr]]
) -> Component:
    places = dict.fromkeys([(query, key), (query, None), (None, key)])
    own = [factor for place in places if place != (None, None) for factor in factors.get(place, [])]
    return Component(query, key, tuple(own))


def axis_problem(region: Region, part: Component) -> tuple[Region, Expr, dict[Expr, Expr]]:
    """A component as a region of its own with one axis per side, its mask, and the renaming of positions."""
    query = NO_AXIS if part.query is None else region.tilings[0].axes[part.query]
    key = NO_AXIS if part.key is None else region.tilings[1].axes[part.key]
    renamed: dict[Expr, Expr] = {}
    if part.query is not None:
        renamed[Position("q", part.query)] = Position("q", 0)
    if part.key is not None:
        renamed[Position("k", part.key)] = Position("k", 0)
    root = substitute(conjunction(list(part.factors)), renamed)
    return Region(_one_axis(query), _one_axis(key)), root, renamed


def _one_axis(tiling: AxisTiling) -> SegmentTiling:
    return SegmentTiling(Segment("axis", ("axis",), (tiling.extent,), 0), (tiling,))
