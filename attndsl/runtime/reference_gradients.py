"""Gradients of the reference backend by their formulas, for graphs, in which autograd cannot be called again.

Autograd of `reference` is their oracle.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR
from attndsl.runtime.reference import grouped, masked_scores, row_chunks


def reference_gradients(
    ir: BoundIR,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: float,
    inputs: Mapping[str, Tensor],
    out_gradient: Tensor,
    lse_gradient: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v in their types, float64 inside. Queries that see nothing have none."""
    arrays = {name: value.cpu().numpy() for name, value in inputs.items()}
    dq, dk, dv = (torch.zeros(each.shape, dtype=torch.float64, device=q.device) for each in (q, k, v))
    k64, v64 = k.double(), v.double()
    for rows in row_chunks(q, k) if k.shape[2] else []:
        q64, dout = q[:, :, rows].double(), out_gradient[:, :, rows].double()
        scores = masked_scores(ir, q64, k64, scale, rows.start, arrays)
        empty = (scores == -torch.inf).all(-1, keepdim=True)
        weights = torch.softmax(scores, -1).masked_fill(empty, 0.0)
        dweights = (grouped(ir, dout) @ v64.unsqueeze(2).mT).flatten(1, 2)
        dlse = lse_gradient[:, :, rows, None].double().masked_fill(empty, 0.0)
        dscores = weights * (dweights - (weights * dweights).sum(-1, keepdim=True) + dlse) * scale
        dq[:, :, rows] = (grouped(ir, dscores) @ k64.unsqueeze(2)).flatten(1, 2)
        dk += (grouped(ir, dscores).mT @ grouped(ir, q64)).sum(2)
        dv += (grouped(ir, weights).mT @ grouped(ir, dout)).sum(2)
    return dq.to(q.dtype), dk.to(k.dtype), dv.to(v.dtype)
