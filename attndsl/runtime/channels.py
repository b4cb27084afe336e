"""Attention among channels: queries, keys and values are transposed, so that channels are the tokens.

The pairs are few (head_dim squared) and the sums long (over all tokens), so that two products of matrices
are all there is to gain. Source: M. Ding et al., DaViT, 2022 (arXiv:2204.03645).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import Expr, Product, Term
from attndsl.runtime.checks import check_inputs, scale_of, wide_type
from attndsl.runtime.derived import Tensors, of_sources
from attndsl.runtime.finish import gated, per_query, with_sink
from attndsl.runtime.torch_expression import evaluate


def channel_attention(
    ir: BoundIR, tensors: Tensors, scale: float | None, return_lse: bool, inputs: Mapping[str, Any]
) -> Tensor:
    """The output [batch, heads, tokens, channels of queries], in q's type.

    tensors: q, k and v, transposed, [batch, heads, channels, tokens]. Sums and weights are at least float32.
    Raises AttnCallError (A06xx).
    """
    q, k, v = tensors
    if return_lse:
        raise AttnCallError(
            "A0619", f"the rows of `{ir.name}` are channels, so queries have no log-sum-exp",
            help="leave out return_lse",
        )  # fmt: skip
    if k.shape[2] != v.shape[2]:
        raise AttnCallError(
            "A0681", f"`{ir.name}` joins {k.shape[2]} channels with {v.shape[2]}",
            help="queries, keys and values need the same head_dim where they are transposed",
        )  # fmt: skip
    checked = check_inputs(of_sources(ir), inputs, len(q), q.shape[2], q.shape[2])
    return _attended(ir, q, k, v, scale_of(ir, scale, q.shape[2]), checked)


def _attended(
    ir: BoundIR, q: Tensor, k: Tensor, v: Tensor, scale: float, inputs: Mapping[str, Tensor]
) -> Tensor:
    kind = wide_type(q.dtype)
    product = q.to(kind) @ k.to(kind).mT * scale
    if ir.weighting.is_softmax:
        scores = _of_product(ir, ir.weighting.score, product, inputs)
        out, total = torch.softmax(scores, -1) @ v.to(kind), torch.logsumexp(scores, -1)
    else:
        weights = _of_product(ir, ir.weighting.of_product, product, inputs)
        out, total = weights @ v.to(kind), weights.sum(-1)
        if ir.weighting.normalize == "sum":
            empty = (total == 0).unsqueeze(-1)
            out = torch.where(empty, 0.0, out / torch.where(empty, 1.0, total.unsqueeze(-1)))
    out, _ = with_sink(ir, out, total, inputs)
    return gated(ir, out.mT, inputs).to(q.dtype)


def _of_product(ir: BoundIR, root: Expr, product: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    """An expression of the weighting on all pairs of channels; its terms speak of heads only."""

    def leaf(node: Expr, operands: Sequence[Any]) -> Any:
        match node:
            case Product():
                return product
            case Term(number):
                return per_query(ir, ir.regions[0].terms[number], inputs, product)
        raise TypeError(f"{type(node).__name__} does not belong into a bound weighting")

    return torch.as_tensor(evaluate(root, leaf, product.dtype)).to(product.dtype).expand(product.shape)
