"""Prints as Triton the loops over the tiles that a block map lists for the owner's tile.

FULL tiles have a loop of their own without a mask, followed by one for PARTIAL tiles; or one loop visits
both, which suits maps with few FULL tiles, and warp specialisation, which wants a single loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from attndsl.codegen.triton_configuration import Configuration
from attndsl.codegen.triton_visits import RESIDUAL_SHIFT, Visits

Part = Literal["full", "partial", "all"]

COMMENTS: dict[Part, str] = {
    "full": "FULL tiles: all pairs are visible",
    "partial": "PARTIAL tiles",
    "all": "FULL and PARTIAL tiles",
}


@dataclass(frozen=True)
class Loops:
    """The loops of one kernel.

    tile: the name of the visited tile's number. members: the query heads whose visits are one loop, where
    they share a block map; `member` tells them apart.
    """

    visits: Visits
    configuration: Configuration
    tile: str
    members: int = 1

    @property
    def parts(self) -> tuple[Part, ...]:
        """The loops that are needed, in order."""
        if self.configuration.loops == "merged" and self.visits.full and self.visits.partial:
            return ("all",)
        full: tuple[Part, ...] = ("full",) if self.visits.full else ()
        return (*full, "partial") if self.visits.partial else full

    @property
    def residuals(self) -> frozenset[int]:
        """The residual numbers of tiles in the masked loop; 0 stands for FULL."""
        return frozenset(self.visits.residuals) | frozenset({0} if self.parts == ("all",) else ())

    def record_lines(self) -> Iterator[str]:
        """The bounds of the loops, from the record of the owner's tile."""
        for number, field in enumerate(self.visits.fields):
            yield f"{field} = tl.load(record + {number})"

    def head(self, part: Part) -> str:
        """The `for` line."""
        first, end = self._bounds(part)
        if self.members > 1:
            return f"for turn in {self._range('0', f'{self.members} * {_difference(end, first)}')}:"
        return f"for {self._variable(part)} in {self._range(first, end)}:"

    def tile_lines(self, part: Part, residual: bool) -> Iterator[str]:
        """The number of the visited tile and, if wanted, its residual."""
        if self.members > 1:
            first, end = self._bounds(part)
            yield f"member = turn // {_difference(end, first)}"
            yield f"{self._variable(part)} = {first} + turn % {_difference(end, first)}"
        if self.visits.form == "list":
            yield from self._listed(part, residual)
        elif part == "partial":
            yield f"{self.tile} = tl.where(visit < full_first, visit, visit + full_end - full_first)"
            if residual:
                yield "residual = tl.where(visit < full_first, left_residual, right_residual)"
        elif part == "all" and residual:
            right = f"tl.where({self.tile} < full_end, 0, right_residual)"
            yield f"residual = tl.where({self.tile} < full_first, left_residual, {right})"

    def _bounds(self, part: Part) -> tuple[str, str]:
        """What a loop counts from and to."""
        if self.visits.form == "list":
            return "full_end" if part == "partial" else "first", "full_end" if part == "full" else "end"
        if part == "partial":
            return "first", "end - full_end + full_first"
        return ("full_first", "full_end") if part == "full" else ("first", "end")

    def _variable(self, part: Part) -> str:
        """What a loop counts: tiles where they are neighbours, places in the list elsewhere."""
        return "visit" if self.visits.form == "list" or part == "partial" else self.tile

    def _listed(self, part: Part, residual: bool) -> Iterator[str]:
        if part == "full":
            yield f"{self.tile} = tl.load(tiles + visit)"
            return
        yield "entry = tl.load(tiles + visit)"
        yield f"{self.tile} = entry & {hex(2**RESIDUAL_SHIFT - 1)}"
        if residual:
            yield f"residual = entry >> {RESIDUAL_SHIFT}"

    def _range(self, first: str, end: str) -> str:
        specialize = ", warp_specialize=True" if self.configuration.specialize else ""
        return f"tl.range({first}, {end}{specialize})"


def _difference(end: str, first: str) -> str:
    return f"({end} - {first})"
