"""Tile choice: the boxes (and for `% d` the residue layout) that minimise the predicted time.

Masks that are products over the axes are counted exactly for all candidates at once, others on a sample of q
tiles.
"""

from __future__ import annotations

from collections.abc import Sequence

from attndsl.ir.bound import BoundIR, Segment
from attndsl.ir.expr import TRUE, Expr, InputAt
from attndsl.schedule.candidates import MOST, Box, Candidates, Tiles, boxes, preferred, steps
from attndsl.schedule.choose_product import best_of_product
from attndsl.schedule.choose_sampled import best_of_sample
from attndsl.schedule.cost import CostModel
from attndsl.schedule.heads import head_classes
from attndsl.schedule.product import product_masks

__all__ = ["Tiles", "choose"]

MOST_CLASSES = 4
"""Head classes that take part in the choice."""

MOST_REFINED = 64
"""Tokens of a tile where the mask depends on inputs: smaller tiles leave more to drop once they are known."""


def choose(ir: BoundIR, q_tile: Box | None, kv_tile: Box | None, step: Box | None, model: CostModel) -> Tiles:
    """The best tiles; what is given is kept."""
    query, key = ir.query_space.segments[0], ir.key_space.segments[0]
    masks = _main_masks(ir)
    found = [
        _candidates(query, key, masks, q_tile, kv_tile, each, model)
        for each in _steps(query, key, masks, step)
    ]
    if len(found) == len(found[0].q_boxes) == len(found[0].kv_boxes) == 1 or not query.size * key.size:
        return found[0].tiles(0, 0)
    products = [product_masks(query, key, mask) for mask in masks]
    known = [axes for axes in products if axes is not None]
    if len(known) == len(masks):
        return best_of_product(query, key, known, found, model)
    return best_of_sample(query, key, masks, found, model)


def _main_masks(ir: BoundIR) -> list[Expr]:
    """The mask between the first segments, for head classes spread evenly over all."""
    main = [number for number, place in enumerate(ir.regions) if place.query == place.key == 0]
    classes, _ = head_classes(ir)
    count = min(len(classes), MOST_CLASSES)
    chosen = [classes[i * len(classes) // count] for i in range(count)]
    return list(dict.fromkeys(each.masks[main[0]] if main else TRUE for each in chosen))


def _steps(query: Segment, key: Segment, masks: Sequence[Expr], step: Box | None) -> list[Box]:
    if step:
        return [step]
    same_axes = len(query.extents) == len(key.extents)
    return steps(query.extents, masks) if same_axes else [(1,) * len(query.extents)]


def _candidates(
    query: Segment,
    key: Segment,
    masks: Sequence[Expr],
    q_tile: Box | None,
    kv_tile: Box | None,
    step: Box,
    model: CostModel,
) -> Candidates:
    depends_on_inputs = any(isinstance(leaf, InputAt) for mask in masks for leaf in mask.leaves)
    most = MOST_REFINED if depends_on_inputs else MOST
    most_queries, most_keys = model.largest or (most, most)
    kv_step = step if len(step) == len(key.extents) else (1,) * len(key.extents)
    return Candidates(
        [q_tile] if q_tile else _boxes(query.extents, step, masks, most_queries),
        [kv_tile] if kv_tile else _boxes(key.extents, kv_step, masks, most_keys),
        step,
        kv_step,
    )


def _boxes(extents: Box, step: Box, masks: Sequence[Expr], most: int) -> list[Box]:
    """Boxes no longer than the residue classes that they lie in."""
    classes = tuple(max(1, -(-extent // d)) for extent, d in zip(extents, step, strict=True))
    return preferred(boxes(classes, masks, most))
