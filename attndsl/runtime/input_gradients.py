"""Gradients of declared inputs that scores read: bias tables, temperatures, per-token biases.

They are computed in torch over the visited tiles of the schedule, many tiles at a time, on any device; no
tensor of all pairs is made. A gradient with respect to a term is multiplied by the symbolic derivative of
the term, and added up where the input was read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attndsl.ir.bound import BoundIR, Region
from attndsl.ir.derivative import derivative
from attndsl.ir.expr import Expr, InputAt, InputElement, Term
from attndsl.runtime.kernels import Saved
from attndsl.runtime.torch_scores import Block
from attndsl.schedule.schedule import Schedule

CHUNK = 2**22
"""The most pairs, over batch and heads, that are worked on at once."""

Reading = InputAt | InputElement


def input_gradients(
    schedule: Schedule,
    saved: Saved,
    scale: float,
    inputs: Mapping[str, Tensor],
    out_gradient: Tensor,
    lse_gradient: Tensor,
    wanted: Collection[str],
) -> dict[str, Tensor]:
    """The gradients of the inputs named in `wanted`, float64, in their shapes."""
    pass_ = _Pass(schedule.ir, saved, scale, inputs, out_gradient, _delta(saved, out_gradient, lse_gradient))
    found = {
        name: torch.zeros(inputs[name].shape, dtype=torch.float64, device=saved.q.device) for name in wanted
    }
    for tiles in _tiles(schedule, len(saved.q)):
        pass_.add(tiles, found)
    return found


@dataclass(frozen=True)
class _Tiles:
    """Pairs of tiles of one region. queries [pairs, Tq], keys [pairs, Tk]: token numbers, -1 for none."""

    region: Region
    heads: NDArray[np.int64]
    queries: NDArray[np.int32]
    keys: NDArray[np.int32]


def _tiles(schedule: Schedule, batch: int) -> Iterator[_Tiles]:
    """All visited tiles in chunks."""
    ir, q, kv = schedule.ir, schedule.q_tiling, schedule.kv_tiling
    (q_tokens, _), (kv_tokens, _) = q.tokens(), kv.tokens()
    for number, visited in enumerate(schedule.maps):
        heads = np.flatnonzero(np.asarray(schedule.map_of_head) == number)
        row, column, _ = visited.entries()
        step = max(1, CHUNK // max(1, batch * len(heads) * q_tokens.shape[1] * kv_tokens.shape[1]))
        for region in ir.regions:
            own = np.flatnonzero(
                _within(row, q.first_tile, region.query) & _within(column, kv.first_tile, region.key)
            )
            for start in range(0, len(own), step):
                chunk = own[start : start + step]
                yield _Tiles(region, heads, q_tokens[row[chunk]], kv_tokens[column[chunk]])


def _within(tiles: NDArray[np.int64], first: tuple[int, ...], segment: int) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (tiles >= first[segment]) & (tiles < first[segment + 1])
    return inside


def _delta(saved: Saved, out_gradient: Tensor, lse_gradient: Tensor) -> Tensor:
    """As `codegen/backward.delta`."""
    return (_wide(out_gradient) * _wide(saved.out)).sum(-1) - lse_gradient


def _wide(tensor: Tensor) -> Tensor:
    """At least float32."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


@dataclass(frozen=True)
class _Pass:
    """The tensors of one backward pass."""

    ir: BoundIR
    saved: Saved
    scale: float
    inputs: Mapping[str, Tensor]
    out_gradient: Tensor
    delta: Tensor

    def add(self, tiles: _Tiles, found: dict[str, Tensor]) -> None:
        """Add what some tiles contribute."""
        weighting = self.ir.weighting
        root = weighting.score if weighting.is_softmax else weighting.of_product
        reads = [
            (term, node) for term in _terms(root) for node in _reads(tiles.region.terms[term.number], found)
        ]
        if not reads:
            return
        block, product = self._block(tiles), self._product(tiles)
        gradients = self._gradients(tiles, block, product)
        for term, node in reads:
            own = gradients * block.weighting(derivative(root, term), product)
            factor = block.value(derivative(tiles.region.terms[term.number], node))
            places = _broadcast(block.places(node), own.shape)
            found[node.name].index_put_(places, (own * factor).double(), accumulate=True)

    def _block(self, tiles: _Tiles) -> Block:
        device = self.saved.q.device
        heads = torch.from_numpy(tiles.heads).to(device).view(1, -1, 1, 1, 1)
        batches = torch.arange(len(self.saved.q), device=device).view(-1, 1, 1, 1, 1)
        queries, keys = np.maximum(tiles.queries, 0), np.maximum(tiles.keys, 0)
        # a missing token stands for the first of its tile, which exists
        queries = np.where(tiles.queries < 0, tiles.queries[:, :1], queries)
        keys = np.where(tiles.keys < 0, tiles.keys[:, :1], keys)
        return Block(
            self.ir, tiles.region, queries[:, :, None], keys[:, None, :], heads, batches, self.inputs
        )

    def _product(self, tiles: _Tiles) -> Tensor:
        """Scaled products, [batch, heads, pairs of tiles, Tq, Tk]."""
        q = _rows(self.saved.q, tiles.heads, tiles.queries)
        return q @ _rows(self.saved.k, self._kv_heads(tiles), tiles.keys).mT * self.scale

    def _gradients(self, tiles: _Tiles, block: Block, product: Tensor) -> Tensor:
        """The gradients of scores, or of weights where they are no softmax."""
        weighting = self.ir.weighting
        values = _rows(self.saved.v, self._kv_heads(tiles), tiles.keys)
        gradients = _rows(self.out_gradient, tiles.heads, tiles.queries) @ values.mT
        lse = _rows(self.saved.lse[..., None], tiles.heads, tiles.queries)
        delta = _rows(self.delta[..., None], tiles.heads, tiles.queries)
        if weighting.is_softmax:
            lse = torch.where(lse == -torch.inf, torch.inf, lse)  # scores of -inf hide all keys
            weights = torch.exp(block.weighting(weighting.score, product) - lse)
            gradients = weights * (gradients - delta)
        elif weighting.normalize == "sum":
            gradients = (gradients - delta) / torch.where(lse == 0, torch.inf, lse)
        visible = torch.as_tensor(block.value(tiles.region.visible), device=product.device)
        exists = torch.from_numpy((tiles.queries >= 0)[:, :, None] & (tiles.keys >= 0)[:, None, :])
        return torch.where(visible & exists.to(product.device), gradients, 0.0)

    def _kv_heads(self, tiles: _Tiles) -> NDArray[np.int64]:
        return tiles.heads // (self.ir.heads // self.ir.kv_heads)


def _rows(tensor: Tensor, heads: NDArray[np.int64], tokens: NDArray[np.int32]) -> Tensor:
    """Rows [batch, heads, tiles, tokens of a tile, channels], at least float32; missing ones repeat one."""
    places = torch.from_numpy(np.maximum(tokens, 0)).to(tensor.device)
    return _wide(tensor[:, torch.from_numpy(heads).to(tensor.device)][:, :, places])


def _broadcast(places: Sequence[Any], shape: torch.Size) -> tuple[Tensor, ...]:
    return tuple(torch.as_tensor(place).expand(shape) for place in places)


def _terms(root: Expr) -> list[Term]:
    return [node for node in root.leaves if isinstance(node, Term)]


def _reads(root: Expr, names: Collection[str]) -> list[Reading]:
    return [n for n in root.mentioned if isinstance(n, InputAt | InputElement) and n.name in names]
