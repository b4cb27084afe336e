"""Tile sizes worth trying for a pattern: boxes of 16 to 128 tokens, and residue layouts for its `% d`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from attndsl.ir.expr import Apply, Const, Expr, Position

Box = tuple[int, ...]

FEWEST, MOST = 16, 128
"""Tokens of a tile. Segments that are smaller fit into one tile."""

MOST_BOXES = 512
"""Boxes to choose from on each side; only spaces of three and more axes have more."""

ROUNDING = ("floordiv", "mod")


@dataclass(frozen=True)
class Tiles:
    """Tokens per axis of a q tile and of a kv tile, and the distance of a tile's tokens on each axis."""

    q_tile: Box
    kv_tile: Box
    q_step: Box
    kv_step: Box


@dataclass(frozen=True)
class Candidates:
    """The boxes to choose from with one layout; a single box on a side where the user has chosen."""

    q_boxes: list[Box]
    kv_boxes: list[Box]
    q_step: Box
    kv_step: Box

    def tiles(self, q_box: int, kv_box: int) -> Tiles:
        """The candidate with these boxes, given by number."""
        return Tiles(self.q_boxes[q_box], self.kv_boxes[kv_box], self.q_step, self.kv_step)


def boxes(extents: Box, masks: Sequence[Expr], most: int = MOST) -> list[Box]:
    """Boxes of powers of two, and of the pattern's own lengths, with few enough tokens and not too few."""
    found: list[Box] = [()]
    for axis, extent in enumerate(extents):
        sides = _sides(extent, axis, masks, most)
        found = [(*box, side) for box in found for side in sides if prod(box) * side <= most]
    fewest = min(FEWEST, prod(extents), most)
    large = [box for box in found if prod(box) >= fewest]
    return most_promising(large, MOST_BOXES)


def most_promising(found: list[Box], most: int) -> list[Box]:
    """At most so many boxes: first those whose sides are powers of two, and of these the compact ones."""
    return sorted(found, key=lambda box: (sum(side & (side - 1) > 0 for side in box), sum(box), box))[:most]


def preferred(found: list[Box]) -> list[Box]:
    """Sorted so that of equally good boxes the largest comes first, and the one longest in memory order."""
    return sorted(found, key=lambda box: (-prod(box), [-side for side in reversed(box)]))


def _sides(extent: int, axis: int, masks: Sequence[Expr], most: int) -> list[int]:
    """Lengths along one axis: powers of two, constants of the mask and their halves, and the whole axis."""
    found = {min(1 << power, extent) for power in range(most.bit_length())} | {extent}
    for length in _lengths(axis, masks):
        found |= {length, length // 2} if length % 2 == 0 else {length}
    return sorted(side for side in found if 1 <= side <= min(most, extent))


def _lengths(axis: int, masks: Sequence[Expr]) -> Iterator[int]:
    """Divisors of coordinates of an axis (blocks, strides), and what is added to them (windows)."""
    for node in (node for mask in masks for node in mask.mentioned):
        match node:
            case Apply("floordiv" | "mod" | "add" | "sub", (place, Const(int(length)))) if _is_on(
                place, axis
            ):
                yield length


def _is_on(expr: Expr, axis: int) -> bool:
    return {leaf.axis for leaf in expr.leaves if isinstance(leaf, Position)} == {axis}


def steps(extents: Box, masks: Sequence[Expr]) -> list[Box]:
    """Distances between the tokens of a tile: 1 or a divisor d of `position % d`, along each axis."""
    found = [{1} for _ in extents]
    for node in (node for mask in masks for node in mask.mentioned):
        match node:
            case Apply("mod", (place, Const(int(divisor)))) if not _is_rounded(place):
                for axis, extent in enumerate(extents):
                    if _is_on(place, axis) and 1 < divisor < extent:
                        found[axis].add(divisor)
    return list(product(*map(sorted, found)))


def _is_rounded(expr: Expr) -> bool:
    """Whether neighbours may have the same value, so that its residues are no progressions of tokens."""
    return any(isinstance(node, Apply) and node.op in ROUNDING for node in expr.mentioned)
