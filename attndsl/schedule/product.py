"""Masks that are products over the axes, counted axis by axis: what tiles of any size would visit.

A window in three dimensions visits as many tiles as its axes do, multiplied. So the search for tiles never
builds a block map: it counts in one table of running sums per axis, and multiplies.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import Segment
from attndsl.ir.expr import Const, Expr, InputAt, Position
from attndsl.schedule.exact import evaluate_exactly
from attndsl.schedule.region import Region
from attndsl.schedule.separable import Component, axis_problem, components
from attndsl.schedule.tiling import AxisTiling, SegmentTiling

LARGEST_TABLE = 2**22
"""Entries of an axis table; longer axes are not counted by table."""


@dataclass(frozen=True)
class AxisCount:
    """Pairs of tiles along one axis.

    worst: the most kv tiles that a q tile visits. visited, full: all visited pairs, and those that are FULL.
    visited_tokens, full_tokens: the pairs of tokens inside them.
    """

    worst: int
    visited: int
    full: int
    visited_tokens: int
    full_tokens: int


@dataclass(frozen=True, eq=False)
class AxisMask:
    """The factor of a product mask on one query axis and one key axis (None: it mentions none of that side).

    visible: bool [coordinates of the query axis or 1, coordinates of the key axis or 1].
    """

    query: int | None
    key: int | None
    visible: NDArray[np.bool_]
    _sums: dict[tuple[int, int], NDArray[np.int32]] = field(default_factory=dict, repr=False)

    def count(self, query: AxisTiling, key: AxisTiling) -> AxisCount:
        """What these tiles visit along this axis; the tilings are of the mask's coordinates."""
        rows, columns = np.append(query.start, query.extent), np.append(key.start, key.extent)
        corners = self._running_sums(query, key)[np.ix_(rows, columns)]
        visible = np.diff(np.diff(corners, axis=0), axis=1)
        tokens = np.outer(query.count, key.count)
        visited, full = visible > 0, visible == tokens
        return AxisCount(
            int(visited.sum(axis=1).max()),
            int(visited.sum()),
            int(full.sum()),
            int(tokens[visited].sum()),
            int(tokens[full].sum()),
        )

    def _running_sums(self, query: AxisTiling, key: AxisTiling) -> NDArray[np.int32]:
        """Visible pairs before each pair of places in tile order, [query extent + 1, key extent + 1]."""
        steps = query.step, key.step
        if steps not in self._sums:
            sums = np.zeros((query.extent + 1, key.extent + 1), dtype=np.int32)
            ordered = self.visible[np.ix_(query.order, key.order)]
            ordered.cumsum(axis=0, dtype=np.int32).cumsum(axis=1, out=sums[1:, 1:])
            self._sums[steps] = sums
        return self._sums[steps]


Known = dict[tuple[Expr, tuple[int, int]], NDArray[np.bool_]]


def product_masks(
    query: Segment, key: Segment, root: Expr, known: Known | None = None
) -> list[AxisMask] | None:
    """The mask between two segments axis by axis, one part per key axis first; None if it is no product.

    root: the mask for one head. known: remembers the tables of factors for masks that share them. None as
    well for masks that depend on inputs, and for axes too long for a table.
    """
    if any(isinstance(leaf, InputAt) for leaf in root.leaves):
        return None
    region = Region(_tokens(query), _tokens(key))
    masks = [_axis_mask(region, part, {} if known is None else known) for part in _parts(region, root)]
    found = [mask for mask in masks if mask is not None]
    return found if found and len(found) == len(masks) else None


def _parts(region: Region, root: Expr) -> list[Component]:
    queries, keys = len(region.axes.query), len(region.axes.key)
    if isinstance(root, Const):
        return [Component(None, key, (root,)) for key in range(keys)]
    if queries == keys == 1:
        return [Component(0, 0, (root,))]
    return components(region, root) or []


def _tokens(segment: Segment) -> SegmentTiling:
    return SegmentTiling(segment, tuple(AxisTiling(extent, 1) for extent in segment.extents))


def _axis_mask(region: Region, part: Component, known: Known) -> AxisMask | None:
    axis, root, _ = axis_problem(region, part)
    shape = axis.tilings[0].segment.size, axis.tilings[1].segment.size
    if shape[0] * shape[1] > LARGEST_TABLE:
        return None
    if (root, shape) not in known:
        known[root, shape] = _table(root, shape)
    return AxisMask(part.query, part.key, known[root, shape])


def _table(root: Expr, shape: tuple[int, int]) -> NDArray[np.bool_]:
    leaves: dict[Expr, NDArray[np.int64]] = {
        Position("q", 0): np.arange(shape[0])[:, None],
        Position("k", 0): np.arange(shape[1])[None, :],
    }
    return np.broadcast_to(evaluate_exactly(root, leaves), shape)
