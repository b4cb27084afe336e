"""Bind of derived tensors: the spaces that a pattern or branch attends in, and what they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import cast

from attndsl.ir.blocks import Blocks
from attndsl.ir.bound import Segment, Space
from attndsl.ir.derived import Derivation, Derived, Role, has_key_per_query_head
from attndsl.ir.expr import Const
from attndsl.ir.pattern import Input, PatternIR
from attndsl.ir.reads import inputs_read
from attndsl.passes.bind_blocks import bind_blocks
from attndsl.passes.bind_expr import Numbers


@dataclass(frozen=True)
class Place:
    """Where a pattern attends. outputs: the space of each branch's queries."""

    query: Space
    key: Space
    heads: int
    kv_heads: int
    numbers: Numbers
    outputs: Mapping[str, Space]
    derivation: Derivation | None = None


def derived_place(pattern: PatternIR, place: Place) -> Place:
    """The place of the pattern's own tensors, given that of the tensors that the caller passes."""
    blocks = bind_blocks(pattern.blocks, place.numbers)
    counts = {each.name: _count(each, place) for each in blocks}
    numbers = replace(place.numbers, extents={**place.numbers.extents, **counts})
    if not pattern.derived:
        return replace(place, numbers=numbers)
    derivation = Derivation(place.query, place.key, place.kv_heads, pattern.derived, blocks)
    wide = has_key_per_query_head(pattern.derived)
    return replace(
        place,
        query=_space("query", place.query, pattern, counts, place),
        key=_space("key", place.key, pattern, counts, place),
        kv_heads=place.heads if wide else place.kv_heads,
        numbers=numbers,
        derivation=derivation,
    )


def _count(blocks: Blocks, place: Place) -> int:
    """The number of blocks."""
    segments = (*place.query.segments, *place.key.segments)
    segment = next(each for each in segments if set(blocks.axes) <= set(each.axes))
    sizes = (int(cast(Const, size).value) for size in blocks.sizes)
    return prod(
        -(-segment.extents[segment.axes.index(axis)] // size)
        for axis, size in zip(blocks.axes, sizes, strict=True)
    )


def _space(role: Role, main: Space, pattern: PatternIR, counts: Mapping[str, int], place: Place) -> Space:
    found = next((each for each in pattern.derived if each.role == role), None)
    if found is None:
        return main
    return place.outputs[found.of] if found.kind == "branch" else one_axis(*_axis(found, counts))


def _axis(derived: Derived, counts: Mapping[str, int]) -> tuple[str, str, int]:
    if derived.kind == "transposed":  # how many channels there are is known when tensors come
        return "channels", "channel", 1
    return derived.blocks, derived.blocks, counts[derived.blocks]


def one_axis(name: str, axis: str, extent: int) -> Space:
    """A space of one axis."""
    return Space((Segment(name, (axis,), (extent,), 0),))


def own_inputs(pattern: PatternIR, is_branch: bool) -> tuple[Input, ...]:
    """The inputs of a pattern, or those that a branch reads; by the side that has them where sides differ."""
    reads = inputs_read(replace(pattern, inputs=(), branches=(), parameters=()))
    found = [each for each in pattern.inputs if each.name in reads or not is_branch]
    sides = {each.role for each in pattern.derived}
    if not sides or all(each.kind == "transposed" for each in pattern.derived):
        return tuple(found)
    token = "query" if "query" not in sides else "key"
    return tuple(
        replace(each, shape=tuple(token if size == "tokens" else size for size in each.shape))
        for each in found
    )
