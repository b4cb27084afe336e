"""Gradients of the reference backend by their formulas, for graphs, in which autograd cannot be called again.

Autograd of `reference` is their oracle.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR
from attndsl.ir.derivative import derivative
from attndsl.ir.expr import PRODUCT
from attndsl.runtime.reference import grouped, mask_of, row_chunks
from attndsl.runtime.torch_scores import on_rows


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
    dq, dk, dv = (torch.zeros(each.shape, dtype=torch.float64, device=q.device) for each in (q, k, v))
    k64, v64 = k.double(), v.double()
    for rows in row_chunks(q, k) if k.shape[2] else []:
        q64, dout = q[:, :, rows].double(), out_gradient[:, :, rows].double()
        product = (grouped(ir, q64) @ k64.unsqueeze(2).mT).flatten(1, 2) * scale
        dweights = (grouped(ir, dout) @ v64.unsqueeze(2).mT).flatten(1, 2)
        weights, dscores = weights_and_gradients(
            ir, product, dweights, lse_gradient[:, :, rows], rows.start, inputs
        )
        dproduct = dscores * scale
        dq[:, :, rows] = (grouped(ir, dproduct) @ k64.unsqueeze(2)).flatten(1, 2)
        dk += (grouped(ir, dproduct).mT @ grouped(ir, q64)).sum(2)
        dv += (grouped(ir, weights).mT @ grouped(ir, dout)).sum(2)
    return dq.to(q.dtype), dk.to(k.dtype), dv.to(v.dtype)


def weights_and_gradients(
    ir: BoundIR, product: Tensor, dweights: Tensor, dlse: Tensor, start: int, inputs: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """The normalised weights of a chunk of rows, and the gradients of its scaled products."""
    weighting, visible = ir.weighting, mask_of(ir, start, product.shape[2], len(product), inputs)
    visible = visible.to(product.device)
    if weighting.is_softmax:
        scores = on_rows(ir, weighting.score, product, start, inputs).masked_fill(~visible, -torch.inf)
        empty = (scores == -torch.inf).all(-1, keepdim=True)
        weights = torch.softmax(scores, -1).masked_fill(empty, 0.0)
        dlse = dlse.unsqueeze(-1).double().masked_fill(empty, 0.0)
        gradients = weights * (dweights - (weights * dweights).sum(-1, keepdim=True) + dlse)
        chain = on_rows(ir, derivative(weighting.score, PRODUCT), product, start, inputs)
        return weights, gradients * torch.where(visible, chain, 0.0)
    weights = torch.where(visible, on_rows(ir, weighting.of_product, product, start, inputs), 0.0)
    chain = on_rows(ir, derivative(weighting.of_product, PRODUCT), product, start, inputs)
    if weighting.normalize == "sum":
        total = weights.sum(-1, keepdim=True)
        factor = torch.where(total == 0, 0.0, 1 / torch.where(total == 0, 1.0, total))
        weights = weights * factor
        dlse = dlse.unsqueeze(-1).double()
        dweights = (dweights - (weights * dweights).sum(-1, keepdim=True) + dlse) * factor
    return weights, dweights * torch.where(visible, chain, 0.0)
