"""Prints as Triton the terms of scores: what they say of positions, heads and inputs, in float32.

What the owner's tokens decide stands before the loops over visited tiles, the rest inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.levels import Level
from attndsl.codegen.scores import regions_with_tokens
from attndsl.codegen.triton_expression import cast_text
from attndsl.codegen.triton_layout import recommented
from attndsl.codegen.triton_predicate import Predicate
from attndsl.codegen.triton_tokens import Sides, TileTokens
from attndsl.ir.bound import Region
from attndsl.ir.expr import Head, Position
from attndsl.schedule.schedule import Schedule


class Terms:
    """The text of the terms that one kernel reads, for every region that has tiles."""

    def __init__(self, schedule: Schedule, sides: Sides, numbers: Sequence[int]) -> None:
        self.sides = sides
        regions = regions_with_tokens(schedule.ir) if numbers else []
        if len({region.terms for region in regions}) == 1 and not _reads_tokens(regions[0]):
            regions = regions[:1]
        self.parts = {
            number: Predicate(
                schedule.ir,
                (region.query, region.key),
                [region.terms[term] for term in numbers],
                sides,
                f"score_{number}_" if len(regions) > 1 else "score_",
            )
            for number, region in enumerate(regions)
        }
        self.regions = regions
        self.first_tiles = schedule.q_tiling.first_tile, schedule.kv_tiling.first_tile

    @property
    def differs_by_head(self) -> bool:
        """Whether a term mentions the head."""
        return any(Head() in node.leaves for part in self.parts.values() for node in part.roots)

    @property
    def reads_inputs(self) -> bool:
        """Whether declared inputs are read."""
        return any(part.inputs for part in self.parts.values())

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Numbers that the kernel reads, by the name of its parameter."""
        return {name: each for part in self.parts.values() for name, each in part.arrays.items()}

    def owner_lines(self) -> Iterator[str]:
        """What the head and the owner's tokens decide, before the loops."""
        lines: list[str] = []
        for part in self.parts.values():
            lines += [*self._coordinates(part, self.sides.own), *part.lines("head")]
            lines += part.lines("query" if self.sides.owner == "q" else "key")
        if lines:
            yield f"# What the {'query' if self.sides.owner == 'q' else 'key'} alone adds to scores"
            yield from recommented(lines)

    def visited_lines(self) -> Iterator[str]:
        """What the visited tile's tokens decide, inside a loop."""
        lines: list[str] = []
        for part in self.parts.values():
            lines += self._coordinates(part, self.sides.visited)
            lines += [*part.lines("key" if self.sides.owner == "q" else "query"), *part.lines("pair")]
        yield from recommented(lines)

    def text(self, term: tile.Term) -> str:
        """A term as an operand of tiles, of vectors of queries, or a scalar, float32."""
        texts = [
            self._text(part, region, term)
            for part, region in zip(self.parts.values(), self.regions, strict=True)
        ]
        choice = texts[-1]
        for text, region in zip(reversed(texts[:-1]), reversed(self.regions[:-1]), strict=True):
            q, kv = self.first_tiles[0][region.query + 1], self.first_tiles[1][region.key + 1]
            choice = f"tl.where((q_tile < {q}) & (kv_tile < {kv}), {text}, {choice})"
        return choice

    def _text(self, part: Predicate, region: Region, term: tile.Term) -> str:
        level: Level = "pair" if term.like.columns else "query" if term.like.rows else "head"
        return cast_text(part.value(region.terms[term.number], level), "float32")

    def _coordinates(self, part: Predicate, tokens: TileTokens) -> Iterator[str]:
        places = part.places
        assert places is not None
        for axis in part.axes("q" if tokens.side == "q" else "k"):
            yield from tokens.coordinate_lines(places[tokens.side == "kv"], axis, part.fragile)


def _reads_tokens(region: Region) -> bool:
    """Whether terms mention positions, whose coordinates belong to one region."""
    return any(isinstance(leaf, Position) for term in region.terms for leaf in term.leaves)
