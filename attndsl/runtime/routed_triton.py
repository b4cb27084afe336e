"""Plans through Triton kernels: those of the placed pattern, with lists of visited tiles made from the plan.

Kernels own and visit tiles of rows (`routed_layout.py`), and read tokens where they lie. Where each query is
routed on its own, it stands in a row for each of its key units; what tiles compute of it is joined by
`triton_merge.py`. Heads that share a list and keys share rows and lists of tiles. The host never waits for
the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from math import lcm
from typing import Any

import torch
from torch import Tensor

from attndsl.codegen.triton_configuration import Direction
from attndsl.ir.bound import BoundIR
from attndsl.ir.plan import Plan
from attndsl.passes.placed import input_names
from attndsl.runtime.kernels import Inputs, Saved, Wanted
from attndsl.runtime.routed_cpu import delta_of
from attndsl.runtime.routed_triton_kernels import PLACES, configurations, loaded, rows_of, shape_of
from attndsl.runtime.routed_visits import listed, visits
from attndsl.runtime.triton_device import cache_bytes, current_target
from attndsl.runtime.triton_kernels import CACHE_SHARE, with_positive_scale

MOST_BYTES = 2**30
"""Of what is computed of queries in their rows, and kept until it is joined."""


class TritonPlanKernels:
    """Triton kernels of a plan; see `Kernels`."""

    def __init__(
        self, ir: BoundIR, plan: Plan, head_dim: int, value_dim: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.ir, self.plan, self.device = ir, plan, device
        element = str(dtype).removeprefix("torch.")
        self.chosen = configurations(current_target(), plan, head_dim, value_dim, element)
        self.fit = head_dim, value_dim, element
        self.list_heads = lcm(plan.heads, ir.kv_heads)
        self.queries, self.keys = rows_of(plan, self.chosen, device)
        self.shape = shape_of(ir, plan, self.queries, self.keys)
        self._known: dict[Direction, dict[str, Tensor]] = {}

    def forward(self, scale: float, inputs: Inputs, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """See `Kernels`."""
        q_of_lists = self._of_lists(q)
        given = {"q": q_of_lists, "k": self._keys_of_lists(k), "v": self._keys_of_lists(v)}
        given |= self._inputs(inputs, len(q))
        out = q.new_empty((*q_of_lists.shape[:3], v.shape[3]))
        lse = torch.empty(out.shape[:3], dtype=torch.float32, device=q.device)
        for lists in self._chunks(q_of_lists, v.shape[3]):
            results = {"out": out[lists], "lse": lse[lists]}
            rows = {name: self._rows_for(each) for name, each in results.items()}
            self._run("forward", lists, given, rows, scale)
            self._join(lists, len(q), rows, results)
        return out.view(*q.shape[:3], v.shape[3]), lse.view(q.shape[:3])

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
        q, k, v = saved.q, saved.k, saved.v
        delta = delta_of(self.ir, saved, out_gradient, lse_gradient)
        of_queries = {"q": q, "out_gradient": out_gradient, "lse": saved.lse, "delta": delta}
        given = {name: self._of_lists(each) for name, each in of_queries.items()}
        given |= {"k": self._keys_of_lists(k), "v": self._keys_of_lists(v), **self._inputs(inputs, len(q))}
        dq = q.new_empty(given["q"].shape if wanted.q else 0)
        dk, dv = (self._empty_like_keys(given[name], wanted.kv) for name in ("k", "v"))
        for lists in self._chunks(given["q"], q.shape[3]):
            if wanted.q:
                results = {"q_gradient": dq[lists]}
                rows = {name: self._rows_for(each) for name, each in results.items()}
                self._run("dq", lists, given, rows, scale)
                self._join(lists, len(q), rows, results)
            if wanted.kv:
                results = {"k_gradient": dk[lists], "v_gradient": dv[lists]}
                self._run("dk_dv", lists, given, results, scale)
        if wanted.q:
            dq = dq.view(q.shape)
        if wanted.kv:
            dk, dv = (self._of_kv_heads(each, like) for each, like in ((dk, k), (dv, v)))
        return dq, dk, dv

    def _run(
        self, direction: Direction, lists: slice, given: Mapping[str, Tensor], results: Mapping[str, Tensor],
        scale: float,
    ) -> None:  # fmt: skip
        """Launch a kernel on some lists. given: of all lists; results: of these."""
        own, shape = {name: each[lists] for name, each in given.items()}, self.shape
        if not (shape.rows and len(own["q"])):
            for each in results.values():
                each.zero_()
            return
        q, factor = with_positive_scale(own["q"], scale)
        kernel = loaded(self.ir, direction, self.chosen[direction], shape, *self.fit)
        visited = self._visited(direction, len(given["q"]) // self.list_heads)
        one_head = shape.keys * (self.fit[0] + self.fit[1]) * q.element_size()
        call: dict[str, Any] = {
            **own, **results, "q": q, "scale": factor, "tiles": visited["tiles"],
            "records": visited["records"][lists], "map_batch_stride": min(len(visited["records"]) - 1, 1),
            "batch_heads": len(q) * (1 if direction == "dk_dv" else shape.heads),
            "heads_together": max(1, int(CACHE_SHARE * cache_bytes(q.device)) // one_head) * shape.heads,
        }  # fmt: skip
        with torch.cuda.device(q.device) if q.is_cuda else nullcontext():
            kernel.launch(call)

    def _chunks(self, like: Tensor, channels: int) -> Iterator[slice]:
        """Lists that are computed together: all, unless what is computed in rows is kept."""
        together = max(1, len(like))
        if self.shape.by_query:
            one = max(1, self.shape.heads * self.shape.rows * channels * 4)
            together = max(1, MOST_BYTES // one)
        for start in range(0, len(like), together):
            yield slice(start, start + together)

    def _rows_for(self, result: Tensor) -> Tensor:
        """Where a kernel writes what it computes of queries: to rows where these are joined later."""
        if not self.shape.by_query:
            return result
        shape = *result.shape[:2], self.queries.count, *result.shape[3:]
        return torch.empty(shape, dtype=torch.float32, device=result.device)

    def _join(
        self, lists: slice, batch: int, rows: Mapping[str, Tensor], results: Mapping[str, Tensor]
    ) -> None:
        """Write the results of queries from those of their rows."""
        if self.queries.places is not None:
            from attndsl.runtime.triton_merge import join  # here, because Triton need not be there

            join(self._spread(self.queries.places, batch)[lists], [*rows.values()], [*results.values()])

    # ------------------------------------------------------------ heads by their lists

    def _of_lists(self, each: Tensor) -> Tensor:
        """[batch, heads, ..] as [lists, heads of a list, ..]."""
        return each.reshape(len(each) * self.list_heads, self.shape.heads, *each.shape[2:])

    def _keys_of_lists(self, each: Tensor) -> Tensor:
        """[batch, kv_heads, ..] as [lists, 1, ..]."""
        shared = self.list_heads // self.ir.kv_heads
        expanded = each.unsqueeze(2).expand(-1, -1, shared, -1, -1)
        return expanded.reshape(len(each) * self.list_heads, 1, *each.shape[2:])

    def _empty_like_keys(self, keys: Tensor, wanted: bool) -> Tensor:
        """Room for gradients: in float32, where those of several lists are added."""
        dtype = torch.float32 if self.list_heads > self.ir.kv_heads else keys.dtype
        return torch.empty(keys.shape if wanted else 0, dtype=dtype, device=keys.device)

    def _of_kv_heads(self, gradient: Tensor, like: Tensor) -> Tensor:
        shared = self.list_heads // self.ir.kv_heads
        return gradient.view(*like.shape[:2], shared, *like.shape[2:]).sum(2).to(like.dtype)

    def _spread(self, each: Tensor, batch: int) -> Tensor:
        """What belongs to each list of the plan, [lists or 1, ..], for every list of a call."""
        lists = batch * self.list_heads
        if len(each) == 1:
            return each.expand(lists, *each.shape[1:])
        of_heads = each.view(self.plan.batch, self.plan.heads, 1, *each.shape[1:])
        shared = self.list_heads // self.plan.heads
        return of_heads.expand(batch, -1, shared, *each.shape[1:]).reshape(lists, *each.shape[1:])

    # ------------------------------------------------------------ what kernels are told

    def _inputs(self, inputs: Inputs, batch: int) -> dict[str, Tensor]:
        """The inputs of the placed pattern: which token is in each row, and what is declared of it."""
        sides = {"q": (PLACES["q"], self.queries), "k": (PLACES["kv"], self.keys)}
        found = {name: self._spread(rows.tokens, batch) for name, rows in sides.values()}
        for declared in self.ir.kernel_inputs:
            value = inputs[declared.name].to(self.device)
            of_lists = value.expand(batch, -1).repeat_interleave(self.list_heads, 0)
            for side, name in input_names(declared).items():
                position = found[sides[side][0]].clamp(min=0).long()
                found[name] = of_lists.gather(1, position)
        return found

    def _visited(self, direction: Direction, batch: int) -> dict[str, Tensor]:
        """`records` of every list of a call, and the visited `tiles` that they point to."""
        if direction not in self._known:
            self._known[direction] = self._visits(direction)
        known = self._known[direction]
        single = len(known["records"]) == 1
        return known if single else {**known, "records": self._spread(known["records"], batch)}

    def _visits(self, direction: Direction) -> dict[str, Tensor]:
        chosen, by_key = self.chosen[direction], direction == "dk_dv"
        lists = torch.as_tensor(self.plan.indices, device=self.device).flatten(0, 1).long()
        tiles = chosen.q_tokens, chosen.kv_tokens
        found = visits(self.ir, self.plan, lists, self.queries, self.keys, *tiles)
        q_tiles, kv_tiles = -(-self.shape.rows // tiles[0]), -(-self.shape.keys // tiles[1])
        return listed(found, q_tiles, by_key, kv_tiles if by_key else q_tiles)
