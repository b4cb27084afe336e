"""The tiles of a device's kernel for a pattern: as many tokens as it takes, in the shape that visits least.

Kernels spend the same time on every visited pair of tiles, so the shape (and for dilated patterns the
distance between a tile's tokens) with the fewest visited pairs wins. Products over the axes are counted
exactly, other masks on a sample of q tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import log2, prod

from attndsl.ir.bound import BoundIR, Segment
from attndsl.ir.expr import Expr
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


def best_tiles(ir: BoundIR, device: Device, q_tile: Box | None = None, kv_tile: Box | None = None) -> Tiles:
    """The tiles of the device's sizes that visit the fewest pairs; a given tile is kept."""
    query, key = ir.query_space.segments[0], ir.key_space.segments[0]
    classes, _ = head_classes(ir)
    masks = [each.masks[0] for each in classes[:MOST_CLASSES]]
    q_boxes = [q_tile] if q_tile else boxes(device.q_tokens, query.extents, Q_PADDING)
    kv_boxes = [kv_tile] if kv_tile else boxes(device.kv_tokens, key.extents, KV_PADDING)
    layouts = layouts_of(ir, masks)
    products = [product_masks(query, key, mask) for mask in masks]
    known = [axes for axes in products if axes is not None]
    if len(known) == len(masks):
        cost = ProductCost(query, key, known)
        return min(
            (with_boxes(layout, *each) for layout in layouts for each in product(q_boxes, kv_boxes)), key=cost
        )
    return _descend(layouts, q_boxes, kv_boxes, lambda tiles: _sampled_cost(query, key, masks, tiles))


def boxes(tokens: int, extents: Box, padding: float) -> list[Box]:
    """Boxes of powers of two of that many tokens that pad the axes little; smaller where all fits in one."""
    sides = [[1 << power for power in range((extent - 1).bit_length() + 1)] for extent in extents]
    wanted = min(1 << (tokens - 1).bit_length(), prod(side[-1] for side in sides))
    found = [box for box in product(*sides) if prod(box) == wanted]
    least = min(_padded(box, extents) for box in found)
    return [box for box in found if _padded(box, extents) <= padding * least]


def _padded(box: Box, extents: Box) -> int:
    """Tokens of a space whose axes are filled up to whole tiles."""
    return prod(-(-extent // side) * side for extent, side in zip(extents, box, strict=True))


def layouts_of(ir: BoundIR, masks: Sequence[Expr]) -> list[Tiles]:
    """The distances worth trying between the tokens of a tile, with empty boxes."""
    query, key = ir.query_space.segments[0], ir.key_space.segments[0]
    if len(query.extents) != len(key.extents):
        return [Tiles((), (), (1,) * len(query.extents), (1,) * len(key.extents))]
    return [Tiles((), (), step, step) for step in steps(query.extents, masks)]


def with_boxes(layout: Tiles, q_box: Box, kv_box: Box) -> Tiles:
    """The layout with these boxes."""
    return replace(layout, q_tile=q_box, kv_tile=kv_box)


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


def _descend(
    layouts: list[Tiles], q_boxes: list[Box], kv_boxes: list[Box], cost: Callable[[Tiles], Cost]
) -> Tiles:
    """Starts with boxes of like shape, then looks for the best box of one side at a time."""
    alike = [(box, min(kv_boxes, key=lambda kv_box: _unlike(box, kv_box))) for box in q_boxes]
    best = min((with_boxes(layout, *each) for layout in layouts for each in alike), key=cost)
    best = min((replace(best, kv_tile=box) for box in kv_boxes), key=cost)
    return min((replace(best, q_tile=box) for box in q_boxes), key=cost)


def _unlike(first: Box, second: Box) -> float:
    """How different two boxes are in shape; boxes of spaces with different axes are all alike."""
    if len(first) != len(second):
        return 0.0
    return sum(abs(log2(a / b)) for a, b in zip(first, second, strict=True))


def _sampled_cost(query: Segment, key: Segment, masks: Sequence[Expr], tiles: Tiles) -> Cost:
    queries, keys = tilings(query, key, tiles)
    region = Region(SegmentTiling(query, queries), SegmentTiling(key, keys))
    visited = partial = 0.0
    for mask in masks:
        pairs, tokens, full_tokens = sampled_counts(region, mask)
        visited, partial = visited + pairs, partial + tokens - full_tokens
    return Cost(visited, partial, elongation(tiles))


def elongation(tiles: Tiles) -> tuple[int, ...]:
    """Orders boxes: compact ones first, then those that are long on the last axes."""
    sides = tiles.q_tile + tiles.kv_tile
    return (sum(sides), *(-side for box in (tiles.q_tile, tiles.kv_tile) for side in reversed(box)))
