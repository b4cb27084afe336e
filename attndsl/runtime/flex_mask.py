"""A bound pattern's mask as the function that FlexAttention wants, operator by operator in torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR, Segment, Space
from attndsl.ir.expr import Apply, Const, Expr, Head, InputAt, Position, Table, topological

MaskFunction = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def mask_function(ir: BoundIR, inputs: Mapping[str, Tensor]) -> MaskFunction:
    """A function (batch, head, query, key) -> bool of token numbers in memory order. inputs: [tokens]."""

    def mask(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        parts: list[Tensor] = []
        for region in ir.regions:
            segments = ir.query_space.segments[region.query], ir.key_space.segments[region.key]
            if all(segment.size for segment in segments):
                visible = _evaluate(region.visible, _Place(*segments, head, query, key, inputs))
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

    def leaf(self, node: Expr) -> Any:
        match node:
            case Position(side, int(axis)):
                return _coordinate(*self.sides[side], axis)
            case Head():
                return self.head
            case InputAt(name, side):
                return self.inputs[name][self.sides[side][1]]
        raise TypeError(f"{type(node).__name__} does not belong into bound IR")


def _evaluate(expr: Expr, place: _Place) -> Any:
    values: dict[Expr, Any] = {}
    for node in topological(expr):
        match node:
            case Const(value):
                values[node] = value
            case Apply(op, args):
                values[node] = TORCH_OPS[op](*(values[arg] for arg in args))
            case Table(_, entries, index):
                values[node] = torch.tensor(entries)[values[index]]
            case _:
                values[node] = place.leaf(node)
    return values[expr]


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


def _float(value: Any) -> Tensor:
    return torch.as_tensor(value).double()


def _to_int(function: Callable[[Tensor], Tensor]) -> Callable[[Any], Tensor]:
    return lambda x: function(_float(x)).long()


def _extreme(pair: Callable[[Tensor, Tensor], Tensor], bound: str) -> Callable[[Any, Any], Any]:
    """Minimum or maximum of tensors, or of a tensor and a number."""

    def apply(x: Any, y: Any) -> Any:
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            return pair(x, y)
        tensor, number = (x, y) if isinstance(x, Tensor) else (torch.as_tensor(y), x)
        return torch.clamp(tensor, **{bound: number})

    return apply


def _bit_length(x: Any) -> Tensor:
    size = torch.as_tensor(x).abs()
    return torch.stack([size >= 2**bit for bit in range(62)]).sum(0)


TORCH_OPS: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: _float(x) / y,
    "floordiv": lambda x, y: x // y,
    "mod": lambda x, y: x % y,
    "pow": lambda x, y: torch.as_tensor(x) ** y,
    "neg": lambda x: -x,
    "abs": lambda x: abs(x),
    "min": _extreme(torch.minimum, "max"),
    "max": _extreme(torch.maximum, "min"),
    "floor": _to_int(torch.floor),
    "ceil": _to_int(torch.ceil),
    "round": _to_int(torch.round),
    "int": _to_int(torch.trunc),
    "real": _float,
    "bit_length": _bit_length,
    "exp": lambda x: torch.exp(_float(x)),
    "log2": lambda x: torch.log2(_float(x)),
    "sqrt": lambda x: torch.sqrt(_float(x)),
    "tanh": lambda x: torch.tanh(_float(x)),
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "and": lambda x, y: x & y,
    "or": lambda x, y: x | y,
    "not": lambda x: torch.logical_not(torch.as_tensor(x)),
    "select": lambda condition, x, y: torch.where(torch.as_tensor(condition), x, y),
}
"""Every operator of `ops.OPS` in torch."""
