"""The expressions of a route in torch, on some rows of its map at a time: nothing of all pairs exists.

Numbers have the shape [batch, heads, rows, keys] or broadcast to it; vectors of one side are [batch, heads,
units, channels]. Heads are query heads, key/value heads or 1. Arithmetic is in float32 whatever the tensors
are, and in float64 for float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import Apply, Const, Expr, Head, HeadDim, InputAt, InputElement, Position, Side, Table
from attndsl.ir.route import (
    BlockIndex,
    Dot,
    InputVector,
    OverHeads,
    Pool,
    Route,
    ScaleFactor,
    Softmax,
    Vectors,
)
from attndsl.ir.route_groups import Mix, PoolAlike, PoolWhere, TopAlike
from attndsl.passes.route_grains import Grain, grains, operand_context
from attndsl.runtime.checks import wide_type
from attndsl.runtime.route_group_scores import GroupScores
from attndsl.runtime.route_places import ALL, Place, Units, aligned, of_keys, transposed, with_heads
from attndsl.runtime.route_pools import pooled, reduced, split
from attndsl.runtime.route_softmax import softmax, some_keys
from attndsl.runtime.route_units import sides
from attndsl.runtime.torch_expression import TORCH_OPS

SIDES: tuple[Side, Side] = ("q", "k")


class RouteScores:
    """Evaluates the expressions of a bound pattern's route on tensors."""

    def __init__(
        self, ir: BoundIR, route: Route, q: Tensor, k: Tensor, v: Tensor | None, scale: float,
        inputs: Mapping[str, Tensor],
    ) -> None:  # fmt: skip
        self.ir, self.scale, self.inputs, self.device = ir, scale, inputs, q.device
        self.tensors = {"q": q, "k": k, "v": v}
        self.head_dim, self.batch = q.shape[3], q.shape[0]
        self.units = sides(ir, route, q.device)
        self.grain = Grain(route.queries, route.keys)
        self.dtype = wide_type(q.dtype)
        self._of_keys: dict[tuple[Expr, str | None], Any] = {}
        self._of_rows: dict[Expr, Tensor] = {}
        self._grains: dict[Expr, Mapping[Expr, Grain]] = {}
        self.groups = GroupScores(self._value, self._grain, self.units, self.device)

    def on_rows(self, root: Expr, rows: Units, grain: Grain | None = None, keys: Units = ALL) -> Any:
        """An expression of the route on some rows: broadcasts to them and the keys.

        grain: what rows and keys stand for; those of the map by default.
        """
        return self._value(root, Place(grain or self.grain, rows, keys))

    def _grain(self, node: Expr) -> Grain:
        if node not in self._grains:
            self._grains[node] = grains(node, lambda _: None)
        return self._grains[node][node]

    def _value(self, node: Expr, place: Place) -> Any:
        """The value of a node; pooled queries, and what is the same for all queries, are computed once."""
        if self._pools_rows(node, place):
            if node not in self._of_rows:
                self._of_rows[node] = self._computed(node, replace(place, rows=ALL, keys=ALL))
            return self._of_rows[node][:, :, place.rows]
        if not node.children or self._grain(node).query is not None or _numbers_queries(node):
            return self._computed(node, place)
        key = node, place.grain.key
        if key not in self._of_keys:
            self._of_keys[key] = self._computed(node, place.whole)
        return of_keys(self._of_keys[key], place.keys, self._grain(node).vector)

    def _pools_rows(self, node: Expr, place: Place) -> bool:
        """Whether a node is one vector for each row of the map."""
        if not isinstance(node, Pool) or node.kind.startswith("stack") or node.blocks != place.grain.query:
            return False
        grain = self._grain(node)
        return grain.vector and grain.key is None and bool(node.blocks)

    def _computed(self, node: Expr, place: Place) -> Any:
        match node:
            case Const(float(value)):
                return torch.tensor(value, dtype=torch.float64)
            case Const(value):
                return value
            case ScaleFactor():
                return torch.tensor(self.scale, dtype=torch.float64)
            case HeadDim():
                return self.head_dim
            case Head():
                return torch.arange(self.ir.heads, device=self.device).view(1, -1, 1, 1)
            case Vectors(name):
                return self._vectors(name, place)
            case Position(side, int(axis)):
                return self._shaped(side, self.units[side].coordinates[axis], place)
            case BlockIndex(side, blocks):
                return self._shaped(side, self.units[side].outer(place.grain.of(side) or "", blocks), place)
            case Pool():
                return self._pool(node, place)
            case Dot(left, right):
                return self._dot(left, right, place)
            case Softmax():
                return self._softmax(node, place)
            case OverHeads():
                return self._over_heads(node, place)
            case Mix(weights, vectors):
                inner = Place(operand_context(node, place.grain), place.rows)
                map_, rows = self._value(weights, inner), self._value(vectors, inner)
                return map_ @ with_heads(rows, map_.shape[1])
            case PoolWhere() | PoolAlike() | TopAlike():
                found = self.groups.value(node, place.whole)
                return of_keys(found, place.keys, self._grain(node).vector)
            case InputAt() | InputElement():
                return self._input(node, place)
            case InputVector():
                return self._input_vectors(node, place)
            case Table(_, entries, index):
                return torch.tensor(entries, device=self.device)[self._value(index, place)]
            case Apply():
                return self._apply(node, place)
        raise TypeError(f"{type(node).__name__} does not belong into a bound route")

    # ------------------------------------------------------------ leaves

    def _vectors(self, name: str, place: Place) -> Tensor:
        side: Side = "q" if name == "q" else "k"
        tensor = self.tensors[name]
        assert tensor is not None, "callers pass the values that a route speaks of"
        tensor = tensor[:, :, self.units[side].slice]
        return tensor[:, :, place.rows if side == "q" else place.keys].to(self.dtype)

    def _shaped(self, side: Side, values: Tensor, place: Place) -> Tensor:
        """One number per unit of a side, as part of a map."""
        if side == "q":
            return values[place.rows].view(1, 1, -1, 1)
        return values[place.keys].view(1, 1, 1, -1)

    def _input(self, node: InputAt | InputElement, place: Place) -> Tensor:
        if isinstance(node, InputAt):
            units = self.units[node.side]
            tokens = torch.arange(units.slice.start, units.slice.stop, device=self.device)
            indices: list[Any] = [self._shaped(node.side, tokens, place)]
        else:
            indices = [self._value(index, place) for index in node.indices]
        value = self.inputs[node.name].to(self.device)
        if value.ndim > len(indices):
            indices = [torch.arange(self.batch, device=self.device).view(-1, 1, 1, 1), *indices]
        element = value[tuple(indices)]
        return element.to(self.dtype) if element.is_floating_point() else element

    def _input_vectors(self, node: InputVector, place: Place) -> Tensor:
        """Vectors [batch or 1, heads or 1, units or 1, channels] of one side, or of none."""
        indices = [self._value(index, place) for index in node.indices]
        value = self.inputs[node.name].to(self.device)
        if value.ndim > len(indices) + 1:
            indices = [torch.arange(self.batch, device=self.device).view(-1, 1, 1, 1), *indices]
        one = torch.zeros((1, 1, 1, 1), dtype=torch.long, device=self.device)
        found = value[tuple(one + each for each in indices)]
        return found.squeeze(2 if self._grain(node).key is not None else 3).to(self.dtype)

    # ------------------------------------------------------------ operations

    def _apply(self, node: Apply, place: Place) -> Any:
        operands = aligned([self._value(each, place) for each in node.args])
        if self._grain(node).vector:
            pairs = zip(operands, map(self._grain, node.args), strict=True)
            operands = [_as_vector(operand, grain) for operand, grain in pairs]
        return TORCH_OPS[node.op](*operands)

    def _dot(self, left: Expr, right: Expr, place: Place) -> Tensor:
        first, second = self._value(left, place), self._value(right, place)
        if self._grain(left).key is not None and self._grain(right).query is not None:
            left, right, first, second = right, left, second, first
        if self._grain(left).query is not None and self._grain(right).key is not None:
            return _products(first, second)
        first, second = aligned([first, second])
        result = (first * second).sum(-1, keepdim=True)
        of_keys = self._grain(left).key is not None or self._grain(right).key is not None
        return transposed(result) if of_keys else result

    def _over_heads(self, node: OverHeads, place: Place) -> Tensor:
        value = torch.as_tensor(self._value(node.operand, place), device=self.device)
        value = with_heads(value, self.ir.heads)
        groups = 1 if node.group == "heads" else self.ir.kv_heads
        return reduced(split(value, 1, groups), node.kind, 2)

    def _softmax(self, node: Softmax, place: Place) -> Tensor:
        """Keys for which the condition holds in none of the rows are 0, and their products not computed."""
        condition = self._value(node.condition, place.whole)
        count = self.units["k"].count(place.grain.key or "")
        keys = some_keys(condition, count) if isinstance(condition, Tensor) else slice(0, count)
        weights = softmax(self._value(node.operand, replace(place, keys=keys)), of_keys(condition, keys))
        start, stop, _ = (place.keys if isinstance(place.keys, slice) else ALL).indices(count)
        weights = torch.nn.functional.pad(weights, (keys.start - start, stop - keys.stop))
        return weights if isinstance(place.keys, slice) else weights[..., place.keys]

    def _pool(self, node: Pool, place: Place) -> Tensor:
        inner, operand = operand_context(node, place.grain), self._grain(node.operand)
        rows, keys, queries_of, keys_of = place.rows, place.keys, None, None
        pools_queries, pools_keys = (side in node.sides and operand.of(side) is not None for side in SIDES)
        if pools_queries:
            rows, queries_of = self._members(node, "q", inner, rows)
        if pools_keys:
            keys, keys_of = self._members(node, "k", inner, keys)
        value: Tensor = self._value(node.operand, Place(inner, rows, keys))
        if pools_queries:
            value = pooled(value, queries_of, node.kind)
        if pools_keys and operand.vector:
            return pooled(value, keys_of, node.kind)
        return transposed(pooled(transposed(value), keys_of, node.kind)) if pools_keys else value

    def _members(self, node: Pool, side: Side, inner: Grain, of: Units) -> tuple[Units, Tensor | None]:
        """The units in some blocks of a pool, those of each block one after the other, and see `pooled`."""
        if not node.blocks:
            return ALL, None
        units, name = self.units[side], inner.of(side) or ""
        members = units.members(name, node.blocks)[of]
        if not isinstance(of, slice) or not units.in_order(name, node.blocks):
            return members.clamp(min=0).flatten(), members
        start, stop, _ = of.indices(units.count(node.blocks))
        return slice(start * members.shape[1], stop * members.shape[1]), members


def _numbers_queries(node: Expr) -> bool:
    """Whether a node numbers the blocks of queries."""
    return any(isinstance(each, BlockIndex) and each.side == "q" for each in node.mentioned)


def _as_vector(value: Any, grain: Grain) -> Any:
    """A number per unit, to be combined with vectors."""
    of_keys = not grain.vector and grain.key is not None and isinstance(value, Tensor) and value.ndim == 4
    return value.mT if of_keys else value


def _products(queries: Tensor, keys: Tensor) -> Tensor:
    """[batch, heads, rows, keys] of the products of vectors; keys may have fewer heads."""
    if keys.shape[1] in (1, queries.shape[1]) or queries.shape[1] == 1:
        return queries @ keys.mT
    if keys.shape[1] > queries.shape[1]:
        return with_heads(queries, keys.shape[1]) @ keys.mT
    return (split(queries, 1, keys.shape[1]) @ keys.unsqueeze(2).mT).flatten(1, 2)
