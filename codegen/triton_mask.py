"""Prints as Triton which pairs of a visited PARTIAL tile are visible.

One loop visits the tiles of all residuals, since each loop of its own would have to fill its pipeline anew. A
factor that some residuals do not ask for holds wherever it is not asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from attndsl.codegen.triton_factors import Factor, factors
from attndsl.codegen.triton_layout import comment_lines, recommented
from attndsl.codegen.triton_predicate import predicates
from attndsl.codegen.triton_tokens import Sides, TileTokens
from attndsl.ir.expr import Head
from attndsl.schedule.schedule import Schedule


class Masks:
    """The text about visibility in one kernel. residuals: the numbers of the masked loop's tiles."""

    def __init__(self, schedule: Schedule, sides: Sides, residuals: frozenset[int]) -> None:
        self.sides = sides
        self.residuals = residuals
        self.factors = [factor for factor in factors(schedule) if factor.residuals & residuals]
        self.predicates = predicates(schedule, self.factors, sides)
        self.reads_inputs = any(predicate.inputs for predicate in self.predicates.values())

    @property
    def needs_residual(self) -> bool:
        """Whether the tile's residual number decides which factors count."""
        return any(self.residuals - factor.residuals for factor in self.factors)

    @property
    def differs_by_head(self) -> bool:
        """Whether a factor mentions the head."""
        return any(Head() in factor.predicate.leaves for factor in self.factors)

    @property
    def exact_reals(self) -> bool:
        """Whether products and sums of reals must not be fused."""
        return any(predicate.rounds_pairs for predicate in self.predicates.values())

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Numbers that the kernel reads, by the name of its parameter."""
        return {
            name: each for predicate in self.predicates.values() for name, each in predicate.arrays.items()
        }

    def owner_lines(self) -> Iterator[str]:
        """What the head and the owner's tokens decide, before the loop."""
        lines = list(self._coordinates(self.sides.own))
        for predicate in self.predicates.values():
            lines += [
                *predicate.lines("head"),
                *predicate.lines("query" if self.sides.owner == "q" else "key"),
            ]
        if lines:
            yield f"# What the {'query' if self.sides.owner == 'q' else 'key'} alone decides"
            yield from recommented(lines)

    def visible_lines(self) -> Iterator[str]:
        """`visible`, from what the tile's tokens and residual decide; inside the loop."""
        lines = list(self._coordinates(self.sides.visited))
        for predicate in self.predicates.values():
            lines += predicate.lines("key" if self.sides.owner == "q" else "query")
            lines += predicate.lines("pair")
        yield from recommented(lines)
        names = []
        for number, factor in enumerate(self.factors):
            names.append(f"test_{number}" if len(self.factors) > 1 or self.sides.visited.cut else "visible")
            yield from comment_lines(self.predicates[factor.places].in_words(factor.predicate))
            yield f"{names[-1]} = {self._test(factor)}"
        if self.sides.visited.cut:
            side = self.sides.visited.side
            names.append(f"{side}_exists{self.sides.index(side)}")
        if names != ["visible"]:
            yield f"visible = {' & '.join(names)}"

    def _coordinates(self, tokens: TileTokens) -> Iterator[str]:
        """The coordinates of one side that factors mention, each once."""
        needed: dict[tuple[int, int], bool] = {}
        for places, predicate in self.predicates.items():
            if places is not None:
                for axis in predicate.axes("q" if tokens.side == "q" else "k"):
                    key = (places[tokens.side == "kv"], axis)
                    needed[key] = needed.get(key, False) or predicate.fragile
        for (segment, axis), clamped in needed.items():
            yield from tokens.coordinate_lines(segment, axis, clamped)

    def _test(self, factor: Factor) -> str:
        test = self.predicates[factor.places].test(factor.predicate)
        skipped = self._unless_asked(factor)
        return f"{test} | {skipped}" if skipped else test.text

    def _unless_asked(self, factor: Factor) -> str:
        """Whether the tile's residual does not ask for a factor; empty where all of them do."""
        asked, others = factor.residuals & self.residuals, self.residuals - factor.residuals
        if len(others) <= len(asked):
            return " | ".join(f"(residual == {number})" for number in sorted(others))
        tests = [f"(residual != {number})" for number in sorted(asked)]
        return f"({' & '.join(tests)})" if len(tests) > 1 else tests[0]
