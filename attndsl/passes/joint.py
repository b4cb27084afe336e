"""Patterns beside text: joint attention over an image or a video and the tokens of its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from attndsl.ir.bound import BoundIR, Region, Segment, Space
from attndsl.ir.expr import TRUE, Apply, Expr, InputAt, InputElement, Side
from attndsl.ir.pattern import Arm, Input, PatternIR, SegmentShape
from attndsl.passes.bind_expr import flat_index
from attndsl.passes.branch_spaces import on_branches
from attndsl.passes.resolve_expr import TOKENS
from attndsl.passes.rewrite import rewrite

EXISTING_KEYS = "existing_keys"
"""The input that says which keys are no padding."""


def with_text(pattern: PatternIR) -> PatternIR:
    """The pattern with a segment `text` that sees and is seen by all; itself if it has a further segment."""
    if len(pattern.query_space) > 1:
        return pattern
    (main,) = pattern.query_space
    space = (main, SegmentShape("text", ("position",)))
    arms = tuple(replace(arm, query=main.name, key=main.name) for arm in pattern.arms)
    arms = (*arms, Arm(None, None, TRUE)) if arms else ()
    branches = on_branches(pattern, with_text)
    return replace(pattern, query_space=space, key_space=space, arms=arms, branches=branches)


def with_existing_keys(pattern: PatternIR) -> PatternIR:
    """The pattern without the keys for which the input `existing_keys` is false."""
    exists = InputAt(EXISTING_KEYS, "k", "bool")
    arms = tuple(replace(arm, visible=Apply("and", (arm.visible, exists))) for arm in pattern.arms)
    inputs = (*pattern.inputs, Input(EXISTING_KEYS, "bool", ("key",)))
    return replace(pattern, arms=arms, inputs=inputs, branches=on_branches(pattern, with_existing_keys))


def reordered(ir: BoundIR, order: Sequence[int]) -> BoundIR:
    """The same pattern for tokens whose segments come in another order, named by their numbers."""
    place = {old: new for new, old in enumerate(order)}
    query, key = (_reordered(space, order) for space in (ir.query_space, ir.key_space))
    regions = sorted(
        (
            replace(
                each, query=place[each.query], key=place[each.key], terms=_moved(each, ir, query, key, place)
            )
            for each in ir.regions
        ),
        key=_places,
    )
    branches = tuple(reordered(branch, order) for branch in ir.branches)
    return replace(ir, query_space=query, key_space=key, regions=tuple(regions), branches=branches)


def _moved(
    region: Region, ir: BoundIR, query: Space, key: Space, place: Mapping[int, int]
) -> tuple[Expr, ...]:
    """The terms of a region, which read inputs by the places of tokens in the new order."""
    sides: tuple[tuple[Side, int, Space, Space], ...] = (
        ("q", region.query, ir.query_space, query),
        ("k", region.key, ir.key_space, key),
    )
    moved = {
        flat_index(side, old.segments[number]): flat_index(side, new.segments[place[number]])
        for side, number, old, new in sides
    }
    shapes = {each.name: each.shape for each in ir.inputs}

    def rule(node: Expr) -> Expr:
        if not isinstance(node, InputElement):
            return node
        indices = (
            moved.get(index, index) if size in TOKENS else index
            for index, size in zip(node.indices, shapes[node.name], strict=True)
        )
        return InputElement(node.name, tuple(indices), node.kind)

    return tuple(rewrite(term, rule) for term in region.terms)


def _places(region: Region) -> tuple[int, int]:
    return region.query, region.key


def _reordered(space: Space, order: Sequence[int]) -> Space:
    segments: list[Segment] = []
    offset = 0
    for number in order:
        segments.append(replace(space.segments[number], offset=offset))
        offset += segments[-1].size
    return Space(tuple(segments))
