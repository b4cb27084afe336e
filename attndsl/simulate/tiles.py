"""The tiles of a device's kernel for a pattern: as many tokens as it takes, in the shape that visits least.

Kernels spend the same time on every visited pair of tiles, so the shape (and for dilated patterns the
distance between a tile's tokens) with the fewest visited pairs wins. Products over the axes are counted
exactly, other masks on a sample of q tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import product
from math import log2, prod

from attndsl.ir.bound import BoundIR, Segment
from attndsl.ir.expr import Expr
from attndsl.passes.branch_spaces import refuse_schedule
from attndsl.schedule.candidates import Box, steps
from attndsl.schedule.choose import Tiles
from attndsl.schedule.heads import head_classes
from attndsl.schedule.product import AxisCount, AxisMask, product_masks
from attndsl.schedule.region import Region
from attndsl.schedule.sample import sampled_counts
from attndsl.schedule.separable import NO_AXIS
from attndsl.schedule.tiling import AxisTiling, SegmentTiling
from attndsl.simulate.devices import Device

Q_PADDING, KV_PADDING = 1.1, 1.05
"""How much longer padding up to whole tiles may make an axis, compared with the box that pads least."""

MOST_CLASSES = 4
"""Head classes that take part in the choice."""


@dataclass(frozen=True, order=True)
class Cost:
    """What decides between tiles: visited pairs of tiles, then how many are PARTIAL, then the shape."""

    visited: float
    partial: float
    elongation: tuple[int, ...]


@dataclass(frozen=True)
class Candidates:
    """The boxes to choose from with one layout, the distances between a tile's tokens along each axis."""

    q_boxes: list[Box]
    kv_boxes: list[Box]
    q_step: Box
    kv_step: Box

    def tiles(self) -> list[Tiles]:
        """Every combination."""
        return [self.with_boxes(*each) for each in product(self.q_boxes, self.kv_boxes)]

    def with_boxes(self, q_box: Box, kv_box: Box) -> Tiles:
        """Two of the boxes in this layout."""
        return Tiles(q_box, kv_box, self.q_step, self.kv_step)


def best_tiles(ir: BoundIR, device: Device, q_tile: Box | None = None, kv_tile: Box | None = None) -> Tiles:
    """The tiles of the device's sizes that visit the fewest pairs; a given tile is kept."""
    query, key = ir.query_space.segments[0], ir.key_space.segments[0]
    refuse_schedule(ir)
    masks = main_masks(ir)
    found = candidates(ir, masks, device, q_tile, kv_tile)
    every = [tiles for layout in found for tiles in layout.tiles()]
    products = [product_masks(query, key, mask) for mask in masks] if len(every) > 1 else []
    known = [axes for axes in products if axes is not None]
    if len(known) == len(products):
        return min(every, key=ProductCost(query, key, known))
    cost = cache(partial(sampled_cost, ir))
    return min((_descend(layout, cost) for layout in found), key=cost)


def main_masks(ir: BoundIR) -> tuple[Expr, ...]:
    """The mask between the first segments for some of the head classes, evenly spread."""
    classes, _ = head_classes(ir)
    count = min(len(classes), MOST_CLASSES)
    return tuple(classes[number * len(classes) // count].masks[0] for number in range(count))


def candidates(
    ir: BoundIR, masks: Sequence[Expr], device: Device, q_tile: Box | None, kv_tile: Box | None
) -> list[Candidates]:
    """The tiles of the device's sizes, for each layout that the `% d` of the masks suggests."""
    query, key = ir.query_space.segments[0].extents, ir.key_space.segments[0].extents
    layouts = steps(query, masks) if len(query) == len(key) else [(1,) * len(query)]
    found = []
    for q_step in layouts:
        kv_step = q_step if len(query) == len(key) else (1,) * len(key)
        q_boxes = [q_tile] if q_tile else boxes(device.q_tokens, _lengths(query, q_step), Q_PADDING)
        kv_boxes = [kv_tile] if kv_tile else boxes(device.kv_tokens, _lengths(key, kv_step), KV_PADDING)
        found.append(Candidates(q_boxes, kv_boxes, q_step, kv_step))
    return found


def _lengths(extents: Box, step: Box) -> Box:
    """The longest residue class of each axis: no tile is longer."""
    return tuple(-(-extent // each) for extent, each in zip(extents, step, strict=True))


def boxes(tokens: int, lengths: Box, padding: float) -> list[Box]:
    """Boxes of powers of two of that many tokens that pad the axes little; smaller where all fits in one."""
    sides = [[1 << power for power in range((length - 1).bit_length() + 1)] for length in lengths]
    wanted = min(1 << (tokens - 1).bit_length(), prod(side[-1] for side in sides))
    found = [box for box in product(*sides) if prod(box) == wanted]
    least = min(_padded(box, lengths) for box in found)
    return [box for box in found if _padded(box, lengths) <= padding * least]


def _padded(box: Box, lengths: Box) -> int:
    """Tokens of a space whose axes are filled up to whole tiles."""
    return prod(-(-length // side) * side for length, side in zip(lengths, box, strict=True))


class ProductCost:
    """Counts the visited tiles of product masks, remembering what each size costs on each axis."""

    def __init__(self, query: Segment, key: Segment, products: list[list[AxisMask]]) -> None:
        self.segments = query, key
        self.products = products
        self._known: dict[tuple[int, AxisTiling, AxisTiling], AxisCount] = {}

    def __call__(self, tiles: Tiles) -> Cost:
        """The cost of all masks together."""
        queries, keys = tilings(*self.segments, tiles)
        visited = full = 0
        for masks in self.products:
            counts = [self._count(mask, queries, keys) for mask in masks]
            used = {mask.query for mask in masks}
            free = prod(axis.tiles for number, axis in enumerate(queries) if number not in used)
            visited += free * prod(count.visited for count in counts)
            full += free * prod(count.full for count in counts)
        return Cost(visited, visited - full, elongation(tiles))

    def _count(self, mask: AxisMask, queries: Sequence[AxisTiling], keys: Sequence[AxisTiling]) -> AxisCount:
        query = NO_AXIS if mask.query is None else queries[mask.query]
        key = NO_AXIS if mask.key is None else keys[mask.key]
        if (id(mask), query, key) not in self._known:
            self._known[id(mask), query, key] = mask.count(query, key)
        return self._known[id(mask), query, key]


def tilings(
    query: Segment, key: Segment, tiles: Tiles
) -> tuple[tuple[AxisTiling, ...], tuple[AxisTiling, ...]]:
    """The tilings of the axes of two segments."""
    return (
        tuple(map(AxisTiling, query.extents, tiles.q_tile, tiles.q_step)),
        tuple(map(AxisTiling, key.extents, tiles.kv_tile, tiles.kv_step)),
    )


def _descend(found: Candidates, cost: Callable[[Tiles], Cost]) -> Tiles:
    """Starts with boxes of like shape, then looks for the best box of one side at a time."""
    alike = [(box, min(found.kv_boxes, key=lambda kv_box: _unlike(box, kv_box))) for box in found.q_boxes]
    best = min((found.with_boxes(*each) for each in alike), key=cost)
    best = min((replace(best, kv_tile=box) for box in found.kv_boxes), key=cost)
    return min((replace(best, q_tile=box) for box in found.q_boxes), key=cost)


def _unlike(first: Box, second: Box) -> float:
    """How different two boxes are in shape; boxes of spaces with different axes are all alike."""
    if len(first) != len(second):
        return 0.0
    return sum(abs(log2(a / b)) for a, b in zip(first, second, strict=True))


def sampled_cost(ir: BoundIR, tiles: Tiles) -> Cost:
    """The cost by a sample of q tiles; partial is the number of token pairs in tiles that may be PARTIAL."""
    query, key = ir.query_space.segments[0], ir.key_space.segments[0]
    queries, keys = tilings(query, key, tiles)
    region = Region(SegmentTiling(query, queries), SegmentTiling(key, keys))
    visited = partial = 0.0
    for mask in main_masks(ir):
        pairs, tokens, full_tokens = sampled_counts(region, mask)
        visited, partial = visited + pairs, partial + tokens - full_tokens
    return Cost(visited, partial, elongation(tiles))


def elongation(tiles: Tiles) -> tuple[int, ...]:
    """Orders boxes: compact ones first, then those that are long on the last axes."""
    sides = tiles.q_tile + tiles.kv_tile
    return (sum(sides), *(-side for box in (tiles.q_tile, tiles.kv_tile) for side in reversed(box)))
