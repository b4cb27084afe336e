"""Plans whose key units are single tokens or a few: keys gathered for tiles of queries, in torch.

A tile of queries meets all keys that one of them lists, gathered into a matrix, and a mask says which query
lists which. Neighbouring queries list mostly the same keys, so that this costs little more than the listed
pairs; at worst it costs what dense attention does. It serves every plan, type and device, and gives the
gradients of declared inputs too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR
from attndsl.ir.plan import Plan, as_numpy, unit_of_token
from attndsl.runtime.kernels import Inputs, Saved, Wanted
from attndsl.runtime.routed_pairs import Pairs, add_input_gradients, attended, by_lists, gradients

TILE = 64
"""Queries of a tile."""


@dataclass(frozen=True)
class Tile:
    """Queries, the keys that they list, and which lists which.

    queries: int64 [queries]. keys: int64 [batch, list heads, keys], the first key where there is none.
    listed: bool [batch, list heads, queries, keys].
    """

    queries: Tensor
    keys: Tensor
    listed: Tensor


class TokenKernels:
    """See `Kernels`. Lists are those of the fewest heads that share both a list and keys.

    first: the number of the first query in the pattern's space, where the plan is of its last queries only.
    """

    def __init__(self, ir: BoundIR, plan: Plan, device: torch.device, first: int = 0) -> None:
        self.ir, self.plan, self.device, self.first = ir, plan, device, first
        indices = torch.as_tensor(plan.indices, device=device).long()
        self._lists = indices.masked_fill(indices < 0, plan.key_units)  # the padding is a unit of no tokens
        self._row = self._moved(unit_of_token(plan.queries, plan.q_block, plan.q_units))
        self._order = torch.argsort(self._row, stable=True)
        self._units = self._moved(unit_table(plan))
        self.heads = _list_heads(ir, plan)

    def forward(self, scale: float, inputs: Inputs, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """See `Kernels`."""
        out = torch.zeros((*q.shape[:3], v.shape[3]), dtype=q.dtype, device=q.device)
        lse = torch.zeros(q.shape[:3], dtype=_wide(q).dtype, device=q.device)
        for tile in self._tiles(len(q)):
            part, part_lse = attended(self._pairs(tile, inputs), *self._of_tile(tile, q, k, v), scale)
            out[:, :, tile.queries] = part.to(out.dtype)
            lse[:, :, tile.queries] = part_lse
        return out, lse

    def backward(
        self,
        scale: float,
        inputs: Inputs,
        saved: Saved,
        out_gradient: Tensor,
        lse_gradient: Tensor,
        wanted: Wanted,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Kernels`."""
        tensors = saved.q, saved.k, saved.v
        dq, dk, dv = (
            torch.zeros(each.shape, dtype=_wide(each).dtype, device=each.device) for each in tensors
        )
        for tile in self._tiles(len(saved.q)):
            pairs, given = self._pairs(tile, inputs), self._of_tile(tile, *tensors)
            dout, dlse = (_wide(each[:, :, tile.queries]) for each in (out_gradient, lse_gradient))
            found = gradients(pairs, *given, scale, dout, dlse)
            products, weights = (by_lists(pairs, each) for each in (found.products * scale, found.weights))
            q, k, _ = given
            dq[:, :, tile.queries] = (products @ k).reshape(q.shape)
            self._add(dk, tile, products.mT @ by_lists(pairs, q))
            self._add(dv, tile, weights.mT @ by_lists(pairs, dout))
        needed = zip((dq, dk, dv), tensors, (wanted.q, wanted.kv, wanted.kv), strict=True)
        dq, dk, dv = (each.to(like.dtype) if want else like.new_empty(0) for each, like, want in needed)
        return dq, dk, dv

    def input_gradients(
        self,
        saved: Saved,
        scale: float,
        inputs: Inputs,
        out_gradient: Tensor,
        lse_gradient: Tensor,
        wanted: Sequence[str],
    ) -> dict[str, Tensor]:
        """The gradients of the inputs named in `wanted`, float64, in their shapes."""
        totals = {name: torch.zeros_like(inputs[name], dtype=torch.float64) for name in wanted}
        for tile in self._tiles(len(saved.q)):
            pairs, given = self._pairs(tile, inputs), self._of_tile(tile, saved.q, saved.k, saved.v)
            dout, dlse = (_wide(each[:, :, tile.queries]) for each in (out_gradient, lse_gradient))
            add_input_gradients(pairs, gradients(pairs, *given, scale, dout, dlse), totals)
        return totals

    def _of_tile(self, tile: Tile, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The tile's queries, and its keys and values for each list head."""
        return _wide(q[:, :, tile.queries]), self._keys(tile, k), self._keys(tile, v)

    def _pairs(self, tile: Tile, inputs: Mapping[str, Tensor]) -> Pairs:
        return Pairs(self.ir, tile.queries + self.first, tile.keys, tile.listed, inputs)

    def _tiles(self, batch: int) -> Iterator[Tile]:
        for queries in torch.split(self._order, TILE):
            lists = self._lists[:, :, self._row[queries]]
            chosen = lists.new_zeros((*lists.shape[:2], len(self._units)), dtype=torch.bool)
            union = _places(chosen.scatter_(2, lists.flatten(2), 1)[..., :-1])
            member = lists.new_zeros((*lists.shape[:3], len(self._units)), dtype=torch.bool)
            listed = member.scatter_(3, lists, 1).gather(
                3, union.unsqueeze(2).expand(-1, -1, len(queries), -1)
            )
            tokens = self._units[union]
            listed = (listed.unsqueeze(-1) & (tokens >= 0).unsqueeze(2)).flatten(3)
            keys = tokens.clamp(min=0).flatten(2)
            yield Tile(queries, *(self._of_heads(each, batch) for each in (keys, listed)))

    def _of_heads(self, lists: Tensor, batch: int) -> Tensor:
        """Lists of a plan's heads for all list heads."""
        expanded = lists.expand(batch, *lists.shape[1:])
        return expanded.repeat_interleave(self.heads // lists.shape[1], dim=1)

    def _keys(self, tile: Tile, tensor: Tensor) -> Tensor:
        """The rows of the tile's keys, [batch, list heads, keys, channels]."""
        batches, heads = self._places_of(tile, tensor)
        return _wide(tensor[batches, heads, tile.keys])

    def _add(self, total: Tensor, tile: Tile, rows: Tensor) -> None:
        batches, heads = self._places_of(tile, total)
        places = (batches * total.shape[1] + heads) * total.shape[2] + tile.keys
        total.view(-1, total.shape[3]).index_add_(0, places.flatten(), rows.flatten(0, 2))

    def _places_of(self, tile: Tile, tensor: Tensor) -> tuple[Tensor, Tensor]:
        """The batch element and the kv head of each list."""
        batches = torch.arange(len(tile.keys), device=self.device).view(-1, 1, 1)
        lists = torch.arange(self.heads, device=self.device).view(1, -1, 1)
        return batches, lists // (self.heads // tensor.shape[1])

    def _moved(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)


def _list_heads(ir: BoundIR, plan: Plan) -> int:
    """The fewest heads so that all query heads of one share a list and a kv head."""
    fewest = max(plan.heads, ir.kv_heads)
    shares = fewest % plan.heads == 0 and fewest % ir.kv_heads == 0
    return fewest if shares else ir.heads


def unit_table(plan: Plan) -> np.ndarray:
    """The tokens of each key unit, int64 [units + 1, kv_block]; -1 for none, as in all of the last row."""
    if plan.kv_units is not None:
        table = as_numpy(plan.kv_units).astype(np.int64)
    else:
        table = np.arange(plan.key_units * plan.kv_block).reshape(plan.key_units, plan.kv_block)
        table = np.where(table < plan.keys, table, -1)
    return np.concatenate([table, np.full((1, table.shape[1]), -1)])


def _places(chosen: Tensor) -> Tensor:
    """Where the last dimension holds, ascending; its length stands for none."""
    count = chosen.sum(-1)
    places = torch.full((*chosen.shape[:-1], int(count.max()) if count.numel() else 0), chosen.shape[-1])
    places = places.to(chosen.device)
    rank = chosen.cumsum(-1) - 1
    *others, place = chosen.nonzero(as_tuple=True)
    index = (*others, rank[chosen])
    places[index] = place
    return places


def _wide(tensor: Tensor) -> Tensor:
    """At least float32."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
