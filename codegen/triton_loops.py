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

_LIST_BOUNDS: dict[Part, tuple[str, str]] = {
    "full": ("first", "full_end"),
    "partial": ("full_end", "end"),
    "all": ("first", "end"),
}


@dataclass(frozen=True)
class Loops:
    """The loops of one kernel. tile: the name of the visited tile's number."""

    visits: Visits
    configuration: Configuration
    tile: str

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
        if self.visits.form == "list":
            return f"for visit in {self._range(*_LIST_BOUNDS[part])}:"
        if part == "partial":
            return f"for visit in {self._range('first', 'end - full_end + full_first')}:"
        bounds = ("full_first", "full_end") if part == "full" else ("first", "end")
        return f"for {self.tile} in {self._range(*bounds)}:"

    def tile_lines(self, part: Part, residual: bool) -> Iterator[str]:
        """The number of the visited tile and, if wanted, its residual."""
        if self.visits.form == "list":
            yield from self._listed(part, residual)
        elif part == "partial":
            yield f"{self.tile} = tl.where(visit < full_first, visit, visit + full_end - full_first)"
            if residual:
                yield "residual = tl.where(visit < full_first, left_residual, right_residual)"
        elif part == "all" and residual:
            right = f"tl.where({self.tile} < full_end, 0, right_residual)"
            yield f"residual = tl.where({self.tile} < full_first, left_residual, {right})"

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
