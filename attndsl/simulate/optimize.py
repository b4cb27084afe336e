"""`simulate --optimize`: cheaper settings near a requested pattern, and what each of them would lose.

Tiles of the device's sizes and values of some integer parameters are combined; what remains are the
Pareto choices, speedup against the share of the requested window that is lost. Nothing is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from attndsl.diagnostics import AttnScheduleError
from attndsl.ir.bound import BoundIR
from attndsl.schedule.build import schedule_with
from attndsl.schedule.choose import Tiles
from attndsl.schedule.tile_arguments import Extents, checked_tile
from attndsl.simulate.choices import Choice, choices_as_text, front
from attndsl.simulate.devices import Device
from attndsl.simulate.devices import device as find_device
from attndsl.simulate.inputs import loosest
from attndsl.simulate.product_options import axis_options
from attndsl.simulate.product_search import ProductSearch
from attndsl.simulate.rebind import searched_parameters
from attndsl.simulate.schedule_search import ScheduleSearch
from attndsl.simulate.speedup import check_share, dense_kv_tiles
from attndsl.simulate.text import plain
from attndsl.simulate.tiles import best_tiles, candidates, main_masks


@dataclass(frozen=True)
class Optimization:
    """The Pareto choices near a request, the one that loses nothing first.

    objective: the speedup that was compared: 'tile_speedup', or 'tile_speedup_mean' where some q tile of
    the request visits everything. exact_losses: whether losses are counted on all queries, not on a
    sample.
    """

    name: str
    device: str
    objective: str
    parameters: tuple[str, ...]
    exact_losses: bool
    choices: tuple[Choice, ...]

    def to_dict(self) -> dict[str, Any]:
        """Numbers, texts and lists only, for JSON."""
        data: dict[str, Any] = plain({**vars(self), "choices": [each.to_dict() for each in self.choices]})
        return data

    def __str__(self) -> str:
        searched = " and ".join(("tiles", *self.parameters))
        sampled = "" if self.exact_losses else " (on a sample of the queries)"
        head = f"{self.name} on {self.device}: the best {searched}, by loss of visible pairs{sampled}"
        return "\n".join([head, *choices_as_text(self.choices)])


def optimize(
    ir: BoundIR,
    *,
    device: str = "b200",
    q_tile: Extents | None = None,
    kv_tile: Extents | None = None,
    attention_share: float | None = None,
    parameters: Sequence[str] | None = None,
    limit: int = 12,
) -> Optimization:
    """Search tiles and parameters near a bound pattern.

    q_tile, kv_tile: keep these tiles. parameters: names of integer parameters to vary, by default
    `stride` where the pattern has it. limit: the most choices to list. Raises AttnScheduleError (A05xx).
    """
    if ir.route is not None or ir.groups:
        raise AttnScheduleError(
            "A0555", f"`{ir.name}` has a route, whose plan decides which tiles are visited",
            help="leave out --optimize; vary its parameters, or the distribution of plans",
        )  # fmt: skip
    share, names = check_share(attention_share), tuple(searched_parameters(ir, parameters))
    candidates = candidate_tiles(ir, find_device(device), q_tile, kv_tile)
    objective = objective_of(ir, candidates[0])
    options = axis_options(ir, names)
    if options is not None:
        found = ProductSearch(ir, names, options, objective, share).choices(candidates)
    else:
        found = ScheduleSearch(ir, names, share).choices(candidates)
    return Optimization(
        name=ir.name,
        device=device.lower(),
        objective=objective,
        parameters=tuple(each.name for each in names),
        exact_losses=options is not None,
        choices=tuple(front(found, objective, limit)),
    )


def candidate_tiles(
    ir: BoundIR, target: Device, q_tile: Extents | None = None, kv_tile: Extents | None = None
) -> list[Tiles]:
    """The tiles to try, the best ones for the request first."""
    query, key = ir.query_space.segments[0], ir.key_space.segments[0]
    q_box = None if q_tile is None else checked_tile(q_tile, query, "q_tile")
    kv_box = None if kv_tile is None else checked_tile(kv_tile, key, "kv_tile")
    best = best_tiles(ir, target, q_box, kv_box)
    found = candidates(ir, main_masks(ir), target, q_box, kv_box)
    return [best, *(tiles for layout in found for tiles in layout.tiles() if tiles != best)]


def objective_of(ir: BoundIR, tiles: Tiles) -> str:
    """The speedup to compare: that of the worst q tile, unless some q tile visits everything."""
    schedule = schedule_with(loosest(ir), tiles.q_tile, tiles.kv_tile, tiles.q_step, tiles.kv_step)
    dense = dense_kv_tiles(schedule.kv_tiling)
    return "tile_speedup" if schedule.worst_q_tile_visits < dense else "tile_speedup_mean"
