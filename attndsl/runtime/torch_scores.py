"""Scores and weights in torch: the weighting of a bound pattern on blocks of pairs, with gradients to inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR, Region
from attndsl.ir.evaluate import coordinates
from attndsl.ir.expr import Expr, Head, InputAt, InputElement, Position, Product, Term
from attndsl.runtime.torch_expression import evaluate


@dataclass(frozen=True)
class Block:
    """Pairs of one region: queries and keys by their numbers, [rows] and [columns], ascending."""

    ir: BoundIR
    region: Region
    queries: np.ndarray[Any, Any]
    keys: np.ndarray[Any, Any]
    inputs: Mapping[str, Tensor]
    device: torch.device

    def values(self, root: Expr, product: Tensor) -> Tensor:
        """An expression of the weighting; product: `s`, [batch, heads, rows, columns]."""

        def leaf(node: Expr, operands: Sequence[Any]) -> Any:
            match node:
                case Product():
                    return product
                case Term(number):
                    return self.term(number)
            raise TypeError(f"{type(node).__name__} does not belong into a bound weighting")

        value = evaluate(root, leaf)
        return torch.as_tensor(value, dtype=product.dtype, device=self.device).expand(product.shape)

    def term(self, number: int) -> Any:
        """A term on all pairs, broadcastable to [batch, heads, rows, columns]."""
        return evaluate(self.region.terms[number], self._leaf)

    def _leaf(self, node: Expr, operands: Sequence[Any]) -> Any:
        match node:
            case Position(side, int(axis)):
                return self._position(side, axis)
            case Head():
                return torch.arange(self.ir.heads, device=self.device).view(1, -1, 1, 1)
            case InputAt(name, side):
                tokens = self.queries if side == "q" else self.keys
                return self._element(name, [_along(side, tokens, self.device)])
            case InputElement(name):
                return self._element(name, list(operands))
        raise TypeError(f"{type(node).__name__} does not belong into bound IR")

    def _position(self, side: str, axis: int) -> Tensor:
        space, tokens = (
            (self.ir.query_space, self.queries) if side == "q" else (self.ir.key_space, self.keys)
        )
        segment = space.segments[self.region.query if side == "q" else self.region.key]
        return _along(side, coordinates(segment, tokens)[axis], self.device)

    def _element(self, name: str, indices: list[Any]) -> Tensor:
        value = self.inputs[name]
        if value.ndim > len(indices):
            indices = [torch.arange(len(value), device=self.device).view(-1, 1, 1, 1), *indices]
        return value[tuple(indices)]


def _along(side: str, values: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    """Numbers per query or per key, as a dimension of [batch, heads, rows, columns]."""
    shape = (1, 1, -1, 1) if side == "q" else (1, 1, 1, -1)
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64)).to(device).view(shape)


def on_rows(
    ir: BoundIR, root: Expr, product: Tensor, start: int, inputs: Mapping[str, Tensor]
) -> Tensor:
    """An expression of the weighting on query rows from `start` on and all keys."""
    stop, rows = start + product.shape[2], []
    for number, query in enumerate(ir.query_space.segments):
        first, last = max(start, query.offset), min(stop, query.offset + query.size)
        regions = [region for region in ir.regions if region.query == number]
        if first < last:
            part = product[:, :, first - start : last - start]
            rows.append(_row_of_regions(ir, root, part, np.arange(first, last), regions, inputs))
    return torch.cat(rows, dim=2) if rows else product


def _row_of_regions(
    ir: BoundIR,
    root: Expr,
    product: Tensor,
    queries: np.ndarray[Any, Any],
    regions: Sequence[Region],
    inputs: Mapping[str, Tensor],
) -> Tensor:
    parts = []
    for region in regions:
        key = ir.key_space.segments[region.key]
        keys = np.arange(key.offset, key.offset + key.size)
        block = Block(ir, region, queries, keys, inputs, product.device)
        if key.size:
            parts.append(block.values(root, product[..., key.offset : key.offset + key.size]))
    return torch.cat(parts, dim=3) if parts else product


