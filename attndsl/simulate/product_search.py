"""The search for tiles and parameters of masks that are products over the axes: no schedule is built.

The figures of a combination of options are products of those of the axes, counted exactly. Other masks
are searched in `schedule_search`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import TRUE
from attndsl.ir.pattern import Parameter
from attndsl.schedule.build import tiling
from attndsl.schedule.choose import Tiles
from attndsl.schedule.separable import NO_AXIS
from attndsl.schedule.tiling import Tiling
from attndsl.simulate.choices import Choice
from attndsl.simulate.loss import shares
from attndsl.simulate.product_options import Option
from attndsl.simulate.rebind import with_element
from attndsl.simulate.speedup import dense_kv_tiles, end_to_end, ratio
from attndsl.simulate.tiles import tilings

Array = NDArray[Any]


@dataclass(frozen=True)
class Figures:
    """Figures of options, or of combinations of options, each an array [options].

    worst: the most kv tiles that a q tile visits. visited, full: pairs of tiles. pairs: visible pairs;
    both: those that the request shows as well.
    """

    worst: Array
    visited: Array
    full: Array
    pairs: Array
    both: Array

    def times(self, other: Figures) -> Figures:
        """Every combination of an option here with one of another axis."""
        return Figures(*(np.multiply.outer(mine, vars(other)[name]) for name, mine in vars(self).items()))

    def where(self, chosen: Array) -> Figures:
        """The chosen options."""
        return Figures(*(column[chosen] for column in vars(self).values()))


@dataclass(frozen=True)
class Elsewhere:
    """What the regions besides the main one add: visited pairs, visible pairs, and visits of single q tiles.

    with_main: kv tiles that a q tile of the main segment visits in other segments. others: the most that
    a q tile of another segment visits.
    """

    visited: int
    pairs: int
    with_main: int
    others: int


@dataclass(frozen=True, eq=False)
class ProductSearch:
    """A request whose main mask is a product, and for each part of it the settings to choose from.

    parameters: those that are searched. objective: the speedup that counts, 'tile_speedup' or
    'tile_speedup_mean'. perfect: only settings without PARTIAL tiles are wanted.
    """

    request: BoundIR
    parameters: tuple[Parameter, ...]
    options: list[list[Option]]
    objective: str
    share: float | None = None
    perfect: bool = False

    def choices(self, candidates: Iterable[Tiles]) -> list[Choice]:
        """The best settings for each of the tiles."""
        return [choice for tiles in candidates for choice in self._with(tiles)]

    def _with(self, tiles: Tiles) -> Iterator[Choice]:
        kept = [self._kept(options, tiles) for options in self.options]
        options, figures = [each for each, _ in kept], [each for _, each in kept]
        if not all(options):
            return
        combined = reduce(Figures.times, figures)
        queries = tiling(self.request.query_space, tiles.q_tile, tiles.q_step)
        keys = tiling(self.request.key_space, tiles.kv_tile, tiles.kv_step)
        choice = _Builder(self, tiles, queries, keys)
        cost = combined.worst if self.objective == "tile_speedup" else combined.visited
        for place in _pareto(cost.ravel(), combined.both.ravel(), combined.pairs.ravel()):
            at = np.unravel_index(place, cost.shape)
            chosen = [axis[number] for axis, number in zip(options, at, strict=True)]
            yield choice(chosen, *(float(column[at]) for column in vars(combined).values()))

    def _kept(self, options: list[Option], tiles: Tiles) -> tuple[list[Option], Figures]:
        """The options of one part that none of the others beats with these tiles."""
        queries, keys = tilings(
            self.request.query_space.segments[0], self.request.key_space.segments[0], tiles
        )
        mask = options[0].mask
        query = NO_AXIS if mask.query is None else queries[mask.query]
        key = NO_AXIS if mask.key is None else keys[mask.key]
        figures = Figures(*np.array([option.figures(query, key) for option in options], dtype=float).T)
        if self.perfect:
            clean = np.flatnonzero(figures.full == figures.visited)
            options, figures = [options[place] for place in clean], figures.where(clean)
        cost = figures.worst if self.objective == "tile_speedup" else figures.visited
        best = _pareto(cost, figures.both, figures.pairs)
        return [options[place] for place in best], figures.where(best)

    @cached_property
    def requested_pairs(self) -> int:
        """Visible pairs of the request in its main region."""
        return self.unused_size * prod(options[0].pairs for options in self.options)

    @cached_property
    def unused_axes(self) -> list[int]:
        """Query axes that no part of the product mentions."""
        used = {options[0].mask.query for options in self.options}
        return [axis for axis in range(len(self.request.query_space.segments[0].axes)) if axis not in used]

    @cached_property
    def unused_size(self) -> int:
        """Coordinates along those axes."""
        return prod(self.request.query_space.segments[0].extents[axis] for axis in self.unused_axes)


def _pareto(cost: Array, both: Array, pairs: Array) -> Array:
    """Indices of the entries that lose least for their cost; of equal ones that with the fewest pairs."""
    order = np.lexsort((pairs, cost, -both))
    best_before = np.concatenate([[np.inf], np.minimum.accumulate(cost[order])[:-1]])
    found: Array = order[cost[order] < best_before]
    return found


class _Builder:
    """Makes choices out of figures for one set of tiles."""

    def __init__(self, search: ProductSearch, tiles: Tiles, queries: Tiling, keys: Tiling) -> None:
        self.search, self.tiles = search, tiles
        self.total = queries.tiles * keys.tiles
        self.dense = dense_kv_tiles(keys)
        self.free = prod(queries.segments[0].axes[axis].tiles for axis in search.unused_axes)
        self.elsewhere = _elsewhere(search.request, queries, keys)

    def __call__(
        self, options: list[Option], worst: float, visited: float, full: float, pairs: float, both: float
    ) -> Choice:
        request, elsewhere, free = self.search.request, self.elsewhere, self.search.unused_size
        loss = shares(
            self.search.requested_pairs + elsewhere.pairs,
            pairs * free + elsewhere.pairs,
            both * free + elsewhere.pairs,
        )
        tile_speedup = ratio(self.dense, max(worst + elsewhere.with_main, elsewhere.others))
        parameters = {each.name: request.parameters[each.name] for each in self.search.parameters}
        for option in options:
            for name, value in option.values.items():
                parameters[name] = with_element(parameters[name], option.axis, value)
        return Choice(
            parameters=parameters,
            tiles=self.tiles,
            tile_speedup=tile_speedup,
            tile_speedup_mean=ratio(self.total, visited * self.free + elsewhere.visited),
            perfectly_block_sparse=full == visited,
            lost=loss.lost,
            gained=loss.gained,
            end_to_end_speedup=end_to_end(tile_speedup, self.search.share),
        )


def _elsewhere(request: BoundIR, queries: Tiling, keys: Tiling) -> Elsewhere:
    visited = pairs = 0
    visits = [0] * len(queries.segments)
    for region in (each for each in request.regions[1:] if each.visible is TRUE):
        query, key = queries.segments[region.query], keys.segments[region.key]
        visited += query.tiles * key.tiles
        pairs += query.segment.size * key.segment.size
        visits[region.query] += key.tiles if query.tiles else 0
    return Elsewhere(visited, pairs, visits[0], max(visits[1:], default=0))
