"""A bound pattern's mask as the function that FlexAttention wants, operator by operator in torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR, Segment, Space
from attndsl.ir.expr import Expr, Head, InputAt, Position
from attndsl.runtime.torch_expression import evaluate

MaskFunction = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def mask_function(ir: BoundIR, inputs: Mapping[str, Tensor]) -> MaskFunction:
    """A function (batch, head, query, key) -> bool of token numbers in memory order. inputs: [tokens]."""

    def mask(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        parts: list[Tensor] = []
        for region in ir.regions:
            segments = ir.query_space.segments[region.query], ir.key_space.segments[region.key]
            if all(segment.size for segment in segments):
                visible = evaluate(region.visible, _Place(*segments, head, query, key, inputs).leaf)
                inside = _inside(ir.query_space, segments[0], query) & _inside(ir.key_space, segments[1], key)
                parts.append(inside & visible)
        return reduce(torch.logical_or, parts)

    return mask


class _Place:
    """Values of the leaves of an expression for one region."""

    def __init__(
        self, query: Segment, key: Segment, head: Tensor, q: Tensor, k: Tensor, inputs: Mapping[str, Tensor]
    ) -> None:
        self.sides = {"q": (query, q), "k": (key, k)}
        self.head = head
        self.inputs = inputs

    def leaf(self, node: Expr, operands: Sequence[Any]) -> Any:
        match node:
            case Position(side, int(axis)):
                return _coordinate(*self.sides[side], axis)
            case Head():
                return self.head
            case InputAt(name, side):
                return self.inputs[name][self.sides[side][1]]
        raise TypeError(f"{type(node).__name__} does not belong into bound IR")


def _coordinate(segment: Segment, index: Tensor, axis: int) -> Tensor:
    """One coordinate of a token; shifts, where they do, halve FlexAttention's time."""
    place = index - segment.offset if segment.offset else index
    for extent in reversed(segment.extents[axis + 1 :]):
        place = _quotient(place, extent)
    return _remainder(place, segment.extents[axis]) if axis else place


def _quotient(index: Tensor, divisor: int) -> Tensor:
    return index // divisor if divisor & (divisor - 1) else index >> (divisor.bit_length() - 1)


def _remainder(index: Tensor, divisor: int) -> Tensor:
    return index % divisor if divisor & (divisor - 1) else index & (divisor - 1)


def _inside(space: Space, segment: Segment, index: Tensor) -> Any:
    if len(space.segments) == 1:
        return True
    return (index >= segment.offset) & (index < segment.offset + segment.size)
