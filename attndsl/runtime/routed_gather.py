"""Plans that decide for each query alone: C++ kernels over tiles of gathered queries.

A query stands in one tile for each key unit that it attends to (`routed_gathering.py`). What a tile computes
of a query is a part, which is merged with the others by log-sum-exp.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR
from attndsl.ir.plan import Plan
from attndsl.runtime.kernels import Inputs, Saved, Wanted
from attndsl.runtime.routed_cpu import Fit, as_slots, delta_of, programs
from attndsl.runtime.routed_gathering import Gathered, Gathering
from attndsl.runtime.routed_merge import add_up, join_of, merge
from attndsl.runtime.routed_tiles import KV_TILE, Q_TILE, even_size


class GatheredKernels:
    """C++ kernels of a plan; see `Kernels`."""

    def __init__(self, ir: BoundIR, plan: Plan, head_dim: int, value_dim: int, dtype: torch.dtype) -> None:
        self.ir, self.plan = ir, plan
        fit = Fit(Q_TILE, even_size(plan.kv_block, KV_TILE), head_dim, value_dim, dtype, slotted=True)
        self.programs = programs(ir, fit)
        self.gathering = Gathering(self.programs.mask, plan, Q_TILE, fit.kv_tile)

    def forward(self, scale: float, inputs: Inputs, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """See `Kernels`."""
        self.programs.load("forward")
        out = torch.empty((*q.shape[:3], v.shape[3]), dtype=q.dtype)
        lse = torch.empty(q.shape[:3], dtype=torch.float32)
        parts = torch.empty(self.gathering.most_slots, v.shape[3])
        totals = torch.empty(self.gathering.most_slots)
        for batch, head in np.ndindex(*q.shape[:2]):
            tensors = {
                "q": q,
                **self.programs.of_head(head, k=k, v=v),
                **as_slots(out=parts, lse=totals[:, None]),
            }
            for found in self.gathering.chunks(batch, head):
                self._run("forward", found, (batch, head), tensors, scale, inputs)
                own = out[batch, head, found.rows], lse[batch, head, found.rows]
                merge(parts, totals, found.starts, *own, join_of(self.ir))
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
        own_dk, own_dv = (torch.empty(*each.shape[2:]) for each in (k, v))
        parts = torch.empty(self.gathering.most_slots if wanted.q else 0, q.shape[3])
        delta = delta_of(self.ir, saved, out_gradient, lse_gradient)
        given = {"q": q, "lse": saved.lse, "out_gradient": out_gradient, "delta": delta}
        given |= as_slots(q_gradient=parts, k_gradient=own_dk, v_gradient=own_dv)
        for batch, head in np.ndindex(*q.shape[:2]):
            tensors = given | self.programs.of_head(head, k=k, v=v)
            kv_head = head // (self.ir.heads // self.ir.kv_heads)
            for found in self.gathering.chunks(batch, head):
                if wanted.q:
                    self._run("dq", found, (batch, head), tensors, scale, inputs)
                    add_up(parts, found.starts, dq[batch, head, found.rows])
                if wanted.kv:
                    self._run("dk_dv", found, (batch, head), tensors, scale, inputs)
                    dk[batch, kv_head] += own_dk
                    dv[batch, kv_head] += own_dv
        return dq, dk.to(k.dtype), dv.to(v.dtype)

    def _run(
        self, name: str, found: Gathered, place: tuple[int, int],
        tensors: dict[str, Tensor], scale: float, inputs: Inputs,
    ) -> None:  # fmt: skip
        sides = found.queries, self.gathering.keys.tiles
        self.programs.run_on_head(name, place, sides, found.map, tensors, scale, inputs)
