"""A picture of a bound pattern or of a plan, for notebooks and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from attndsl.diagnostics import AttnScheduleError
from attndsl.files import write_file
from attndsl.ir.bound import BoundIR
from attndsl.ir.evaluate import check_inputs
from attndsl.ir.plan import Plan
from attndsl.schedule.schedule import Schedule
from attndsl.show.encode import encode
from attndsl.show.figure import draw
from attndsl.show.plan_figure import draw_plan
from attndsl.show.subject import Subject

SCREEN = 110
"""Dots per inch in a notebook."""


@dataclass(frozen=True)
class Picture:
    """What `show` draws: notebooks display it, `save` writes it. figure: matplotlib's."""

    figure: Figure

    def save(self, path: str | Path) -> None:
        """Write a PNG, SVG or PDF, as the suffix says. Raises AttnFileError A0808 for others, A0810."""
        write_file(Path(path), encode(self.figure, Path(path)))

    def _repr_png_(self) -> bytes:
        return encode(self.figure, Path("picture.png"), SCREEN)


def picture_of_schedule(
    schedule: Schedule, query: Sequence[int] | None, head: int, inputs: Mapping[str, Any]
) -> Picture:
    """Mask, tiles and what one query sees.

    query: its coordinates, in spaces of two and three axes. inputs: those that the mask reads, arrays
    [tokens]. Raises AttnScheduleError A0560 and A0561 for a query or a head that does not exist.
    """
    check_head(head, schedule.ir.heads)
    read = check_inputs(schedule.ir, inputs)
    refined = schedule.refine(read) if read else schedule
    return Picture(draw(Subject(schedule.ir, refined, head, read), query))


def check_head(head: int, heads: int) -> None:
    """Raise AttnScheduleError A0561 for a head that does not exist."""
    if not 0 <= head < heads:
        raise AttnScheduleError(
            "A0561", f"there is no head {head}", help=f"heads are numbered from 0 to {heads - 1}"
        )


def picture_of_plan(ir: BoundIR, plan: Plan | Mapping[str, Plan], head: int = 0) -> Picture:
    """The static mask, and beside it what up to four heads of a plan list, from `head` on."""
    check_head(head, ir.heads)
    return Picture(draw_plan(ir, plan, head))
