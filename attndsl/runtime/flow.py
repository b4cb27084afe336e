"""`normalize flow`: Flowformer's conservation of what flows from keys to queries, in linear time.

What flows into each query (I) and out of each key (O) is set to one in turn; keys then compete for what they
send, and queries are allotted what they take. Source: H. Wu et al., Flowformer: Linearizing Transformers with
Conservation Flows, 2022 (arXiv:2202.06258), without the constants that its code adds against zeros.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR
from attndsl.runtime.checks import wide_type


def flow_attention(ir: BoundIR, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The output [batch, heads, Nq, Dv], in q's type. q, k: after feature maps. Sums are at least float32.

    Queries and keys whose flow is 0 take and send nothing.
    """
    kind = q.dtype
    wide = wide_type(kind)
    group = ir.heads // ir.kv_heads
    q, k, v = q.to(wide), *(each.to(wide).repeat_interleave(group, 1) for each in (k, v))
    incoming = _of_all(q, k)
    outgoing = _of_all(k, q)
    conserved_incoming = _of_all(q, _divided(k, outgoing))
    conserved_outgoing = _of_all(k, _divided(q, incoming)).clamp(-1.0, 1.0)
    competition = torch.softmax(conserved_outgoing, dim=2) * k.shape[2]
    allocation = torch.sigmoid(conserved_incoming * (q.shape[2] / max(k.shape[2], 1)))
    out = allocation * (_divided(q, incoming) @ (k.mT @ (v * competition)))
    return out.to(kind)


def _of_all(x: Tensor, y: Tensor) -> Tensor:
    """The sum of the products of each row of x with all rows of y, [batch, heads, rows of x, 1]."""
    return (x * y.sum(2, keepdim=True)).sum(-1, keepdim=True)


def _divided(x: Tensor, y: Tensor) -> Tensor:
    empty = y == 0
    return torch.where(empty, 0.0, x / torch.where(empty, 1.0, y))
