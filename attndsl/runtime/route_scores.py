"""The expressions of a route in torch, on some rows of its map at a time: nothing of all pairs exists.

Numbers have the shape [batch, heads, rows, keys] or broadcast to it; vectors of one side are [batch, heads,
units, channels]. Heads are query heads, key/value heads or 1. Arithmetic is in float32 whatever the tensors
are, and in float64 for float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import Apply, Const, Expr, Head, HeadDim, InputAt, InputElement, Position, Side, Table
from attndsl.ir.route import BlockIndex, Dot, OverHeads, Pool, Route, ScaleFactor, Softmax, Vectors
from attndsl.ir.route_groups import Mix, PoolAlike, PoolWhere, TopAlike
from attndsl.passes.route_grains import Grain, grains, operand_context
from attndsl.runtime.route_group_scores import GroupScores
from attndsl.runtime.route_places import ALL, Place, Rows, aligned, transposed, with_heads
from attndsl.runtime.route_pools import pooled, reduced, split
from attndsl.runtime.route_units import sides
from attndsl.runtime.torch_expression import TORCH_OPS


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
        self.dtype = torch.float64 if q.dtype == torch.float64 else torch.float32
        self._of_keys: dict[tuple[Expr, str | None], Any] = {}
        self._grains: dict[Expr, Mapping[Expr, Grain]] = {}
        self.groups = GroupScores(self._value, self._grain, self.units, self.device)

    def on_rows(self, root: Expr, rows: Rows, grain: Grain | None = None) -> Any:
        """An expression of the route on some rows: broadcasts to them and all keys.

        grain: what rows and keys stand for; those of the map by default.
        """
        return self._value(root, Place(grain or self.grain, rows))

    def _grain(self, node: Expr) -> Grain:
        if node not in self._grains:
            self._grains[node] = grains(node, lambda _: None)
        return self._grains[node][node]

    def _value(self, node: Expr, place: Place) -> Any:
        """The value of a node; what is the same for all queries is computed once."""
        if not node.children or self._grain(node).query is not None or _numbers_queries(node):
            return self._computed(node, place)
        key = node, place.grain.key
        if key not in self._of_keys:
            self._of_keys[key] = self._computed(node, place)
        return self._of_keys[key]

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
            case Softmax(operand, condition):
                return _softmax(self._value(operand, place), self._value(condition, place))
            case OverHeads():
                return self._over_heads(node, place)
            case Mix(weights, vectors):
                inner = Place(operand_context(node, place.grain), place.rows)
                map_, rows = self._value(weights, inner), self._value(vectors, inner)
                return map_ @ with_heads(rows, map_.shape[1])
            case PoolWhere() | PoolAlike() | TopAlike():
                return self.groups.value(node, place)
            case InputAt() | InputElement():
                return self._input(node, place)
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
        return (tensor[:, :, place.rows] if side == "q" else tensor).to(self.dtype)

    def _shaped(self, side: Side, values: Tensor, place: Place) -> Tensor:
        """One number per unit of a side, as part of a map."""
        return values[place.rows].view(1, 1, -1, 1) if side == "q" else values.view(1, 1, 1, -1)

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

    def _pool(self, node: Pool, place: Place) -> Tensor:
        inner, rows = operand_context(node, place.grain), place.rows
        pooled_queries = "q" in node.sides and self._grain(node.operand).query is not None
        members = None
        if pooled_queries and node.blocks:
            members = self.units["q"].members(inner.query or "", node.blocks)[rows]
            rows = members.clamp(min=0).flatten()
        everything = pooled_queries and not node.blocks
        value: Tensor = self._value(node.operand, Place(inner, ALL if everything else rows))
        vector = self._grain(node.operand).vector
        if pooled_queries:
            value = pooled(value, members, node.kind)
        if "k" in node.sides and self._grain(node.operand).key is not None:
            keys = self.units["k"].members(inner.key or "", node.blocks) if node.blocks else None
            value = value if vector else transposed(value)
            if keys is not None and not self.units["k"].in_order(inner.key or "", node.blocks):
                value = value[:, :, keys.clamp(min=0).flatten()]
            value = pooled(value, keys, node.kind)
            value = value if vector else transposed(value)
        return value


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


def _softmax(values: Tensor, condition: Any) -> Tensor:
    """Over the last dimension, where the condition holds; 0 elsewhere and in rows without any."""
    if condition is True:
        return torch.softmax(values, -1)
    values, condition = aligned([values, torch.as_tensor(condition)])
    values = torch.where(condition, values, -torch.inf)
    highest = values.amax(-1, keepdim=True)
    weights = torch.exp(values - torch.where(highest == -torch.inf, 0.0, highest))
    total = weights.sum(-1, keepdim=True)
    return weights / torch.where(total == 0, 1.0, total)
