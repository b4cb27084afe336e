"""Plans that choose keys one by one, or a few at a time: C++ kernels over what tiles of queries list.

The keys that any query of a tile lists are gathered into tiles that only this tile visits, and bits say which
query lists which (`routed_unions.py`). Neighbouring queries list mostly the same keys, so that this costs
little more than the listed pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attndsl.ir.bound import BoundIR
from attndsl.ir.plan import Plan, as_numpy, unit_of_token
from attndsl.runtime.kernels import Inputs, Saved, Wanted
from attndsl.runtime.routed_cpu import Fit, as_slots, delta_of, programs
from attndsl.runtime.routed_mask import EMPTY
from attndsl.runtime.routed_merge import add_up
from attndsl.runtime.routed_tiles import Q_TILE, TokenTiles, cut, segment_of
from attndsl.runtime.routed_tokens import unit_table
from attndsl.runtime.routed_unions import KEYS, Unions, unite
from attndsl.schedule.block_map import FULL, BlockMap, block_map

PACKED = 2**24
"""Bytes of the keys and values that are packed at once: what fast memory and `runtime_workspace.h` keep."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some q tiles of one list, and the key tiles that they visit. starts: where each key's slots start."""

    queries: TokenTiles
    keys: TokenTiles
    listed: NDArray[np.uint64]
    map: BlockMap
    starts: NDArray[np.int64]


class ListedKernels:
    """C++ kernels of a plan; see `Kernels`. Keys lie in one segment."""

    def __init__(self, ir: BoundIR, plan: Plan, head_dim: int, value_dim: int, dtype: torch.dtype) -> None:
        self.ir, self.plan = ir, plan
        fit = Fit(Q_TILE, KEYS, head_dim, value_dim, dtype, slotted=True, listed=True)
        self.programs = programs(ir, fit)
        self._lists = np.ascontiguousarray(as_numpy(plan.indices), dtype=np.int32)
        self._row = unit_of_token(plan.queries, plan.q_block, plan.q_units)
        self._units = unit_table(plan).astype(np.int32)
        segment = segment_of(ir.query_space, np.arange(plan.queries))
        order = np.lexsort((self._row, segment))
        self.queries = cut(ir.query_space, order, segment[order], Q_TILE)
        self._most_tiles = PACKED // (4 * KEYS * (head_dim + value_dim))
        self._unions: dict[tuple[int, int], Unions] = {}

    def forward(self, scale: float, inputs: Inputs, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """See `Kernels`."""
        self.programs.load("forward")
        out = torch.empty((*q.shape[:3], v.shape[3]), dtype=q.dtype)
        lse = torch.empty(q.shape[:3], dtype=torch.float32)
        for batch, head in np.ndindex(*q.shape[:2]):
            rows, own_lse = torch.empty(*out.shape[2:]), lse[batch, head].unsqueeze(1)
            tensors = {"q": q, **self.programs.of_head(head, k=k, v=v), **as_slots(out=rows, lse=own_lse)}
            for part in self._parts(batch, head):
                self._run("forward", part, (batch, head), tensors, scale, inputs)
            out[batch, head] = rows
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
        self.programs.load(*(["dq"] if wanted.q else []), *(["dk_dv"] if wanted.kv else []))
        q, k, v = saved.q, saved.k, saved.v
        dq = torch.empty(q.shape if wanted.q else 0, dtype=q.dtype)
        dk, dv = (torch.zeros(each.shape if wanted.kv else 0) for each in (k, v))
        delta = delta_of(self.ir, saved, out_gradient, lse_gradient)
        given = {"q": q, "lse": saved.lse, "out_gradient": out_gradient, "delta": delta}
        for batch, head in np.ndindex(*q.shape[:2]):
            rows = torch.empty(*q.shape[2:])
            tensors = given | self.programs.of_head(head, k=k, v=v) | as_slots(q_gradient=rows)
            kv_head = head // (self.ir.heads // self.ir.kv_heads)
            for part in self._parts(batch, head):
                if wanted.q:
                    self._run("dq", part, (batch, head), tensors, scale, inputs)
                if wanted.kv:
                    slots = [torch.empty(int(part.starts[-1]), each.shape[3]) for each in (k, v)]
                    own = as_slots(k_gradient=slots[0], v_gradient=slots[1])
                    self._run("dk_dv", part, (batch, head), tensors | own, scale, inputs)
                    for total, each in zip((dk, dv), slots, strict=True):
                        sums = torch.empty(*total.shape[2:])
                        add_up(each, part.starts, sums)
                        total[batch, kv_head] += sums
            if wanted.q:
                dq[batch, head] = rows
        return dq, dk.to(k.dtype), dv.to(v.dtype)

    def _run(
        self, name: str, part: Part, place: tuple[int, int],
        tensors: dict[str, Tensor], scale: float, inputs: Inputs,
    ) -> None:  # fmt: skip
        sides = part.queries, part.keys
        self.programs.run_on_head(name, place, sides, part.map, tensors, scale, inputs, part.listed)

    def _parts(self, batch: int, head: int) -> Iterator[Part]:
        """All q tiles of a head, as many at a time as have their keys packed together."""
        mask = self.programs.mask.class_of(head)
        of = batch if self.plan.batch > 1 else 0, head // (self.ir.heads // self.plan.heads)
        if of not in self._unions:
            lists = np.ascontiguousarray(self._lists[of])
            self._unions[of] = unite(lists, self._row, self._units, self.plan.keys, self.queries)
        found, start = self._unions[of], 0
        while start < len(self.queries.counts):
            until = found.first[start] + self._most_tiles
            stop = max(start + 1, int(np.searchsorted(found.first, until, side="right")) - 1)
            yield self._part(found, slice(start, stop), mask)
            start = stop

    def _part(self, found: Unions, rows: slice, mask: int) -> Part:
        first = found.first[rows.start : rows.stop + 1]
        columns = slice(int(first[0]), int(first[-1]))
        of_queries = self.queries
        queries = TokenTiles(
            of_queries.space, of_queries.tokens[rows], of_queries.counts[rows],
            of_queries.segment[rows], of_queries.groups[rows],
        )  # fmt: skip
        keys, starts = self._keys(found.keys[columns], found.counts[columns])
        listed = found.listed[columns]
        owner = np.repeat(np.arange(len(queries.counts)), np.diff(first))
        return Part(queries, keys, listed, self._map(queries, keys, listed, owner, mask), starts)

    def _keys(
        self, tokens: NDArray[np.int32], counts: NDArray[np.int32]
    ) -> tuple[TokenTiles, NDArray[np.int64]]:
        """Key tiles whose slots are in the order of keys."""
        exists = np.arange(KEYS) < counts[:, None]
        order = np.argsort(tokens[exists], kind="stable")
        rank = np.empty(len(order), dtype=np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        slots = np.zeros_like(tokens)
        slots[exists] = rank
        starts = np.concatenate([[0], np.cumsum(np.bincount(tokens[exists], minlength=self.plan.keys))])
        nothing = np.zeros(len(counts), dtype=np.int64)
        return TokenTiles(self.ir.key_space, tokens, counts, nothing, nothing, slots), starts

    def _map(
        self, queries: TokenTiles, keys: TokenTiles, listed: NDArray[np.uint64],
        row: NDArray[np.int64], mask: int,
    ) -> BlockMap:  # fmt: skip
        """The key tiles of each q tile. A tile that is not listed as a whole has a residual of its own."""
        column = np.arange(len(row))
        residual = self.programs.mask.classify(mask, queries, keys, row, column)
        whole = np.uint64(2**64 - 1) >> (KEYS - keys.counts).astype(np.uint64)
        missing = np.arange(listed.shape[1]) >= queries.counts[row][:, None]
        all_listed = ((listed == whole[:, None]) | missing).all(1)
        residual = np.where((residual == FULL) & ~all_listed, len(self.programs.mask.residuals) + 1, residual)
        kept = residual != EMPTY
        row, column, residual = row[kept], column[kept], residual[kept]
        return block_map(row, column, column + 1, residual, len(queries.counts), len(keys.counts))
