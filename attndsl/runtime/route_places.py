"""Where expressions of routes are evaluated, and how their values fit one another in torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from attndsl.passes.route_grains import Grain

Units = slice | Tensor
"""Some units of a side."""
ALL = slice(None)


@dataclass(frozen=True)
class Place:
    """Where an expression is evaluated: what its sides stand for, which query units, and which key units."""

    grain: Grain
    rows: Units
    keys: Units = field(default_factory=lambda: ALL)

    @property
    def whole(self) -> Place:
        """With all key units."""
        return replace(self, keys=ALL)


def of_keys(value: Any, keys: Units, vector: bool = False) -> Any:
    """What a value for all key units says of some. vector: whether it has channels."""
    of_all = not isinstance(value, Tensor) or value.ndim < 4 or value.shape[2 if vector else 3] == 1
    if keys is ALL or of_all:
        return value
    return value[:, :, keys] if vector else value[..., keys]


def aligned(values: list[Any]) -> list[Any]:
    """The values with equal numbers of heads: a key/value head stands for the query heads that share it."""
    heads = max((each.shape[1] for each in values if isinstance(each, Tensor) and each.ndim == 4), default=1)
    return [
        with_heads(each, heads) if isinstance(each, Tensor) and each.ndim == 4 else each for each in values
    ]


def with_heads(value: Tensor, heads: int) -> Tensor:
    """The value for so many heads, [batch, heads, ..]; what is the same for all is not repeated."""
    if value.ndim < 4:
        value = value.expand(1, 1, 1, 1)
    if value.shape[1] in (1, heads):
        return value.expand(-1, heads, -1, -1)
    return value.repeat_interleave(heads // value.shape[1], 1)


def transposed(value: Tensor) -> Tensor:
    """With the last two dimensions exchanged: a number per key as a row of a map, and back."""
    return value.transpose(-1, -2)
