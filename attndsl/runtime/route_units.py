"""The units of a route as tensors: how tokens and blocks lie inside one another on each side."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attndsl.ir.bound import BoundIR, Segment, Space
from attndsl.ir.expr import Side
from attndsl.ir.route import Route
from attndsl.ir.units import count_of_units, tokens_of_units, unit_of_token


class SideUnits:
    """The units of one side: '' stands for tokens, other names for blocks."""

    def __init__(self, route: Route, space: Space, name: str, device: torch.device) -> None:
        self.route, self.space, self.device = route, space, device
        axes = set(route.block(name).axes) if name else set()
        self.segment: Segment = next(each for each in space.segments if axes <= set(each.axes))
        self._numbers: dict[str, NDArray[np.int64]] = {}
        self._outer: dict[tuple[str, str], Tensor] = {}
        self._members: dict[tuple[str, str], Tensor] = {}

    @property
    def slice(self) -> slice:
        """The tokens of the segment in the whole space."""
        return slice(self.segment.offset, self.segment.offset + self.segment.size)

    def count(self, name: str) -> int:
        """How many units there are."""
        return count_of_units(self.route.block(name) if name else None, self.segment)

    def of_token(self, name: str) -> NDArray[np.int64]:
        """The unit of each token."""
        if name not in self._numbers:
            self._numbers[name] = unit_of_token(self.route.block(name) if name else None, self.segment)
        return self._numbers[name]

    def outer(self, inner: str, outer: str) -> Tensor:
        """The unit of `outer` in which each unit of `inner` lies."""
        if (inner, outer) not in self._outer:
            result = np.zeros(self.count(inner), dtype=np.int64)
            result[self.of_token(inner)] = self.of_token(outer)
            self._outer[inner, outer] = torch.from_numpy(result).to(self.device)
        return self._outer[inner, outer]

    def members(self, inner: str, outer: str) -> Tensor:
        """The units of `inner` in each unit of `outer`, [outer units, most], padded with -1."""
        if (inner, outer) not in self._members:
            table = tokens_of_units(self.outer(inner, outer).cpu().numpy(), self.count(outer))
            self._members[inner, outer] = torch.from_numpy(table).to(self.device)
        return self._members[inner, outer]

    def in_order(self, inner: str, outer: str) -> bool:
        """Whether the members of all units, one after the other, are all units of `inner` in their order.

        The last unit may be short.
        """
        members = self.members(inner, outer).flatten()[: self.count(inner)]
        return bool(torch.equal(members, torch.arange(self.count(inner), device=self.device)))

    @cached_property
    def coordinates(self) -> tuple[Tensor, ...]:
        """The coordinate of each token on each axis."""
        places = np.unravel_index(np.arange(self.segment.size), self.segment.extents)
        return tuple(torch.from_numpy(np.ascontiguousarray(each)).to(self.device) for each in places)


def sides(ir: BoundIR, route: Route, device: torch.device) -> dict[Side, SideUnits]:
    """The units of both sides of a bound pattern's route."""
    return {
        "q": SideUnits(route, ir.query_space, route.queries, device),
        "k": SideUnits(route, ir.key_space, route.keys, device),
    }
