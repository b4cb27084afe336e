"""The search for parameters of any mask: one schedule per candidate, so few candidates.

Parameters are varied one at a time, those with a value per axis also on all axes at once. Losses come
from a sample of the queries where there are many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from attndsl.ir.bound import BoundIR
from attndsl.ir.pattern import Parameter
from attndsl.schedule.build import schedule_with
from attndsl.schedule.choose import Tiles
from attndsl.simulate.choices import Choice
from attndsl.simulate.loss import Loss, loss
from attndsl.simulate.rebind import Values, nearby, rebound, with_element
from attndsl.simulate.speedup import dense_kv_tiles, end_to_end, ratio
from attndsl.simulate.tiles import sampled_cost

MOST_TILES, MOST_NEIGHBOURS = 6, 16
"""Schedules that one search builds."""

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ScheduleSearch:
    """A request of any kind. perfect: only settings without PARTIAL tiles are wanted."""

    request: BoundIR
    parameters: tuple[Parameter, ...]
    share: float | None = None
    perfect: bool = False

    def choices(self, candidates: Sequence[Tiles]) -> list[Choice]:
        """The request with some of the tiles, and its neighbours with the first of them."""
        settings: list[tuple[Values, BoundIR, Tiles]] = [({}, self.request, candidates[0])]
        settings += [({}, self.request, tiles) for tiles in _spread(candidates[1:], MOST_TILES)]
        changed = [(values, rebound(self.request, values)) for values in self._neighbours()]
        accepted = [(values, ir) for values, ir in changed if ir is not None and ir != self.request]
        settings += [(values, ir, candidates[0]) for values, ir in _spread(accepted, MOST_NEIGHBOURS)]
        found = [self._choice(*setting) for setting in settings]
        return [choice for choice in found if choice is not None]

    def _choice(self, values: Values, changed: BoundIR, tiles: Tiles) -> Choice | None:
        if self.perfect and sampled_cost(changed, tiles).partial:
            return None
        schedule = schedule_with(changed, tiles.q_tile, tiles.kv_tile, tiles.q_step, tiles.kv_step)
        if self.perfect and schedule.partial_tiles:
            return None
        parameters = {each.name: self.request.parameters[each.name] for each in self.parameters}
        tile_speedup = ratio(dense_kv_tiles(schedule.kv_tiling), schedule.worst_q_tile_visits)
        found = loss(self.request, changed) if values else Loss(0.0, 0.0)
        return Choice(
            parameters={**parameters, **values},
            tiles=tiles,
            tile_speedup=tile_speedup,
            tile_speedup_mean=ratio(schedule.total_tiles, schedule.visited_tiles),
            perfectly_block_sparse=schedule.partial_tiles == 0,
            lost=found.lost,
            gained=found.gained,
            end_to_end_speedup=end_to_end(tile_speedup, self.share),
        )

    def _neighbours(self) -> Iterator[Values]:
        extents = self.request.query_space.segments[0].extents
        for parameter in self.parameters:
            elements = self.request.parameters[parameter.name]
            places = range(len(elements))
            for place in places:
                for value in nearby(parameter.name, int(elements[place]), max(extents)):
                    yield {parameter.name: with_element(elements, place, value)}
            if len(places) > 1 and len(set(elements)) == 1:
                for value in nearby(parameter.name, int(elements[0]), max(extents)):
                    yield {parameter.name: (value,) * len(places)}


def _spread(found: Sequence[T], most: int) -> list[T]:
    """At most that many of them, evenly."""
    count = min(len(found), most)
    return [found[number * len(found) // count] for number in range(count)]
