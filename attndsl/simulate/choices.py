"""What a search for cheaper settings finds: parameters and tiles with what they gain and what they lose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attndsl.ir.expr import Number
from attndsl.ir.headline import box
from attndsl.schedule.choose import Tiles
from attndsl.simulate.text import plain, times


@dataclass(frozen=True)
class Choice:
    """One setting near a requested pattern.

    parameters: the elements of the parameters that were searched. tile_speedup, tile_speedup_mean: as in
    a report. lost: visible pairs of the request that this setting hides / visible pairs of the request.
    gained: pairs that it shows and the request hides / visible pairs of the request.
    """

    parameters: Mapping[str, tuple[Number, ...]]
    tiles: Tiles
    tile_speedup: float
    tile_speedup_mean: float
    perfectly_block_sparse: bool
    lost: float
    gained: float
    end_to_end_speedup: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Numbers and lists only; infinite speedups are None."""
        data: dict[str, Any] = plain({**vars(self), "parameters": dict(self.parameters), **vars(self.tiles)})
        del data["tiles"]
        return data


def front(choices: Sequence[Choice], objective: str, limit: int) -> list[Choice]:
    """The Pareto choices: no other loses less and is as fast. At most `limit`, evenly over the speedups.

    objective: the speedup to compare, 'tile_speedup' or 'tile_speedup_mean'. In order of rising loss.
    """
    found: list[Choice] = []
    for choice in sorted(choices, key=lambda each: (each.lost, -getattr(each, objective), each.gained)):
        if not found or getattr(choice, objective) > STEP * getattr(found[-1], objective):
            found.append(choice)
    if len(found) <= limit:
        return found
    places = (round(number * (len(found) - 1) / (limit - 1)) for number in range(limit))
    return [found[place] for place in dict.fromkeys(places)]


STEP = 1.005
"""A choice must be faster than one with less loss by this factor."""


def choices_as_text(choices: Sequence[Choice]) -> Iterator[str]:
    """A table, one line per choice."""
    names = list(choices[0].parameters)
    rows = [["speedup", "mean", "end to end", "lost", "gained", "sparse", *names, "q tile", "kv tile"]]
    rows += [_row(choice) for choice in choices]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        numbers = [cell.rjust(width) for cell, width in zip(row[:5], widths, strict=False)]
        texts = [cell.ljust(width) for cell, width in zip(row[5:], widths[5:], strict=True)]
        yield "  " + "  ".join([*numbers, *texts]).rstrip()


def _row(choice: Choice) -> list[str]:
    tiles = choice.tiles
    return [
        times(choice.tile_speedup),
        times(choice.tile_speedup_mean),
        times(choice.end_to_end_speedup),
        f"{choice.lost:.1%}",
        f"{choice.gained:.1%}",
        "perfect" if choice.perfectly_block_sparse else "partial",
        *(spelled(elements) for elements in choice.parameters.values()),
        box(tiles.q_tile, tiles.q_step),
        box(tiles.kv_tile, tiles.kv_step),
    ]


def spelled(elements: Sequence[Number]) -> str:
    """The value of a parameter as the command line takes it: `16,8,8`."""
    return ",".join(map(str, elements))
