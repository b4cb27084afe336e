"""What would make a pattern perfectly block-sparse: other tiles, other numbers near the request's, or both.

Found by search and then verified on a schedule of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attndsl.ir.bound import BoundIR
from attndsl.ir.pattern import Parameter
from attndsl.schedule.build import schedule_with
from attndsl.schedule.choose import Tiles
from attndsl.simulate.choices import Choice
from attndsl.simulate.inputs import is_data_dependent
from attndsl.simulate.product_options import axis_options
from attndsl.simulate.product_search import ProductSearch
from attndsl.simulate.rebind import integer_parameters, rebound
from attndsl.simulate.schedule_search import ScheduleSearch


def suggestions(ir: BoundIR, candidates: Sequence[Tiles]) -> tuple[Choice, ...]:
    """Settings without PARTIAL tiles, easy ones first, each a smaller change of the mask than the last.

    candidates: the tiles to try, the present ones first. None can help where inputs decide.
    """
    if is_data_dependent(ir):
        return ()
    found: list[Choice] = []
    for choice in _searched(ir, candidates):
        better = not found or _change(choice) < _change(found[-1])
        if better and _is_perfect(ir, choice):
            found.append(choice)
    return tuple(found)


def _searched(ir: BoundIR, candidates: Sequence[Tiles]) -> Iterator[Choice]:
    """The least change of each kind: other tiles, another stride, other numbers, other numbers and tiles."""
    numbers = tuple(integer_parameters(ir))
    stride = tuple(each for each in numbers if each.name == "stride")
    kinds = [
        ((), [candidates]),
        (stride, [candidates[:1], candidates]),
        (numbers, [candidates[:1], candidates]),
    ]
    for parameters, sets_of_tiles in kinds:
        search = _search(ir, parameters)
        for tiles in sets_of_tiles:
            choices = search.choices(tiles)
            if choices:
                yield min(choices, key=_change)


def _search(ir: BoundIR, parameters: tuple[Parameter, ...]) -> ProductSearch | ScheduleSearch:
    options = axis_options(ir, parameters, coarse=True)
    if options is not None:
        return ProductSearch(ir, parameters, options, "tile_speedup", perfect=True)
    return ScheduleSearch(ir, parameters, perfect=True)


def _change(choice: Choice) -> float:
    return choice.lost + choice.gained


def _is_perfect(ir: BoundIR, choice: Choice) -> bool:
    changed, tiles = rebound(ir, choice.parameters) if choice.parameters else ir, choice.tiles
    if changed is None:
        return False
    schedule = schedule_with(changed, tiles.q_tile, tiles.kv_tile, tiles.q_step, tiles.kv_step)
    return schedule.partial_tiles == 0
