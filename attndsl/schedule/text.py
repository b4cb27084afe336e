"""Schedules as text for people: the block map as a table, with the predicate of each partial class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attndsl.schedule.block_map import FULL, BlockMap

if TYPE_CHECKING:
    from attndsl.schedule.schedule import Schedule


def schedule_text(schedule: Schedule) -> str:
    """Tiles and counts, the predicates that partial tiles evaluate, and the runs of every q tile."""
    lines = [*_summary(schedule), *_residuals(schedule)]
    for number, block_map in enumerate(schedule.maps):
        lines += ["", _heading(schedule, number, block_map), *_runs(block_map)]
    return "\n".join(lines) + "\n"


def summary(schedule: Schedule) -> str:
    """Tiles and counts in one line."""
    return (
        f"q tile {_times(schedule.q_tile)}, kv tile {_times(schedule.kv_tile)}, "
        f"{schedule.visited_tiles:,} of {schedule.total_tiles:,} tile pairs visited"
    )


def _summary(schedule: Schedule) -> Iterator[str]:
    yield f"schedule of {schedule.ir.name}"
    yield f"  q tile {_times(schedule.q_tile)}, kv tile {_times(schedule.kv_tile)} tokens"
    yield f"  {schedule.q_tiling.tiles:,} q tiles, {schedule.kv_tiling.tiles:,} kv tiles"
    yield (
        f"  {schedule.visited_tiles:,} of {schedule.total_tiles:,} tile pairs visited: "
        f"{schedule.full_tiles:,} full, {schedule.partial_tiles:,} partial"
    )


def _residuals(schedule: Schedule) -> Iterator[str]:
    from attndsl.ir.text import expression, region_axis_names

    regions = {(region.query, region.key): region for region in schedule.ir.regions}
    for number, residual in enumerate(schedule.residuals):
        place = schedule.residual_regions[number]
        names = None if place is None else region_axis_names(schedule.ir, regions[place])
        yield f"  partial class {number + 1}: {expression(residual, names)}"


def _heading(schedule: Schedule, number: int, block_map: BlockMap) -> str:
    heads = [str(head) for head, chosen in enumerate(schedule.map_of_head) if chosen == number]
    shared = "all heads" if len(schedule.maps) == 1 else f"heads {', '.join(heads)}"
    shape = "one range per q tile" if block_map.is_contiguous else "lists of ranges"
    return f"block map of {shared}: {shape}"


def _runs(block_map: BlockMap) -> Iterator[str]:
    """A line per q tile; `12-15` are kv tiles 12 to 15, `~2` says which partial class they are."""
    width = len(str(block_map.rows))
    for row in range(block_map.rows):
        part = slice(int(block_map.row_start[row]), int(block_map.row_start[row + 1]))
        runs = zip(block_map.begin[part], block_map.end[part], block_map.residual[part], strict=True)
        listing = "  ".join(_run(int(b), int(e), int(r)) for b, e, r in runs)
        yield f"  q {row:>{width}}  ({block_map.visited[row]:>4} tiles)  {listing}".rstrip()


def _run(begin: int, end: int, residual: int) -> str:
    tiles = f"{begin}" if end == begin + 1 else f"{begin}-{end - 1}"
    return tiles if residual == FULL else f"{tiles}~{residual}"


def _times(extents: tuple[int, ...]) -> str:
    return " x ".join(map(str, extents))
