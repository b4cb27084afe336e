"""Scores and weights in torch: the weighting of a bound pattern on blocks of pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attndsl.ir.bound import BoundIR, Region
from attndsl.ir.evaluate import coordinates
from attndsl.ir.expr import Expr, Head, InputAt, InputElement, Position, Product, Term
from attndsl.runtime.torch_expression import evaluate


@dataclass(frozen=True)
class Block:
    """Pairs of one region. Its parts broadcast to the shape of all pairs, which begins with batch and head.

    queries, keys: token numbers. heads, batches: head and batch numbers, on the device to compute on.
    """

    ir: BoundIR
    region: Region
    queries: NDArray[np.int64]
    keys: NDArray[np.int64]
    heads: Tensor
    batches: Tensor
    inputs: Mapping[str, Tensor]

    def weighting(self, root: Expr, product: Tensor) -> Tensor:
        """An expression of the weighting on all pairs; product: `s`."""

        def leaf(node: Expr, operands: Sequence[Any]) -> Any:
            match node:
                case Product():
                    return product
                case Term(number):
                    return self.value(self.region.terms[number])
            raise TypeError(f"{type(node).__name__} does not belong into a bound weighting")

        value = evaluate(root, leaf)
        return torch.as_tensor(value, device=product.device).to(product.dtype).expand(product.shape)

    def value(self, root: Expr) -> Any:
        """A mask or term, broadcastable to all pairs."""
        return evaluate(root, self._leaf)

    def places(self, node: InputAt | InputElement) -> tuple[Any, ...]:
        """The indices at which an input is read."""
        if isinstance(node, InputAt):
            indices: list[Any] = [self._moved(self.queries if node.side == "q" else self.keys)]
        else:
            indices = [self.value(index) for index in node.indices]
        batched = self.inputs[node.name].ndim > len(indices)
        return tuple([self.batches, *indices] if batched else indices)

    def _leaf(self, node: Expr, operands: Sequence[Any]) -> Any:
        match node:
            case Position(side, int(axis)):
                return self._position(side, axis)
            case Head():
                return self.heads
            case InputAt(name) | InputElement(name):
                return self.inputs[name][self.places(node)]
        raise TypeError(f"{type(node).__name__} does not belong into bound IR")

    def _position(self, side: str, axis: int) -> Tensor:
        if side == "q":
            segment, tokens = self.ir.query_space.segments[self.region.query], self.queries
        else:
            segment, tokens = self.ir.key_space.segments[self.region.key], self.keys
        return self._moved(coordinates(segment, tokens)[axis])

    def _moved(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64)).to(self.heads.device)


def on_rows(ir: BoundIR, root: Expr, product: Tensor, start: int, inputs: Mapping[str, Tensor]) -> Tensor:
    """An expression of the weighting on query rows from `start` on and all keys, as product."""
    stop, rows = start + product.shape[2], []
    for number, query in enumerate(ir.query_space.segments):
        first, last = max(start, query.offset), min(stop, query.offset + query.size)
        if first < last:
            part = product[:, :, first - start : last - start]
            regions = [region for region in ir.regions if region.query == number]
            rows.append(_on_row_of_regions(ir, regions, root, part, np.arange(first, last), inputs))
    return torch.cat(rows, dim=2) if rows else product


def _on_row_of_regions(
    ir: BoundIR,
    regions: Sequence[Region],
    root: Expr,
    product: Tensor,
    queries: NDArray[np.int64],
    inputs: Mapping[str, Tensor],
) -> Tensor:
    heads = torch.arange(product.shape[1], device=product.device).view(1, -1, 1, 1)
    batches = torch.arange(product.shape[0], device=product.device).view(-1, 1, 1, 1)
    parts = []
    for region in regions:
        key = ir.key_space.segments[region.key]
        keys = np.arange(key.offset, key.offset + key.size)
        block = Block(ir, region, queries[:, None], keys[None, :], heads, batches, inputs)
        if key.size:
            parts.append(block.weighting(root, product[..., key.offset : key.offset + key.size]))
    return torch.cat(parts, dim=3) if parts else product
