"""What comes before and after the pairs of tokens: low-rank biases, sinks and gates, each a few operations.

Kernels know none of them. A low-rank bias is more channels of queries and keys; a sink rescales the output by
what it takes from the sum of weights; a gate multiplies. Autograd differentiates all three, through the
log-sum-exp where it must.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import Channel, ChannelSoftmax, Expr, Head, InputElement, WholeInput
from attndsl.ir.head_choice import SoftmaxOfHeads, TopOfHeads
from attndsl.runtime.head_choice import softmax_of_heads, top_of_heads
from attndsl.runtime.torch_expression import evaluate

Inputs = Mapping[str, Tensor]


def with_low_rank(
    ir: BoundIR, q: Tensor, k: Tensor, scale: float, inputs: Inputs, of_queries: Inputs | None = None
) -> tuple[Tensor, Tensor, float]:
    """Queries, keys and scale whose products include the low-rank biases: q k^T scale + bq bk^T.

    of_queries: the inputs of the queries, where these are not all that the pattern has. Source: FlashBias,
    2025 (arXiv:2505.12044).
    """
    if not ir.low_rank:
        return q, k, scale
    queries, keys, own = [q * scale], [k], inputs if of_queries is None else of_queries
    for query, key in ir.low_rank:
        queries.append(_per_head(ir, query, own[query], q))
        keys.append(_per_head(ir, key, inputs[key], k))
    return torch.cat(queries, dim=3), torch.cat(keys, dim=3), 1.0


def _per_head(ir: BoundIR, name: str, value: Tensor, like: Tensor) -> Tensor:
    """An input [heads or nothing, tokens, r], with or without a batch, as [batch, heads, tokens, r]."""
    declared = next(each for each in ir.inputs if each.name == name)
    if value.ndim == len(declared.shape):
        value = value.unsqueeze(0)
    if len(declared.shape) == 2:
        value = value.unsqueeze(1)
    return value.to(like.dtype).expand(*like.shape[:3], value.shape[-1])


def featured(ir: BoundIR, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and keys after the feature map."""
    feature = ir.weighting.feature
    return (q, k) if feature is None else (_mapped(feature, q), _mapped(feature, k))


def _mapped(feature: Expr, x: Tensor) -> Tensor:
    def leaf(node: Expr, operands: Sequence[Any]) -> Any:
        match node:
            case Channel():
                return x
            case ChannelSoftmax():
                return torch.softmax(x, dim=-1)
        raise TypeError(f"{type(node).__name__} does not belong into a feature map")

    return torch.as_tensor(evaluate(feature, leaf)).to(x.dtype).expand(x.shape)


def finished(ir: BoundIR, out: Tensor, lse: Tensor, inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Output and log-sum-exp (or sum of weights) with the sink in the sum, and the gate on the output."""
    out, lse = with_sink(ir, out, lse, inputs)
    return gated(ir, out, inputs), lse


def with_sink(ir: BoundIR, out: Tensor, lse: Tensor, inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Output and log-sum-exp (or sum of weights) with the sink in the sum."""
    if ir.weighting.sink is not None:
        logit = per_query(ir, ir.weighting.sink, inputs, lse.unsqueeze(-1)).squeeze(-1)
        out, lse = with_logit(ir, out, lse, logit)
    return out, lse


def with_logit(ir: BoundIR, out: Tensor, lse: Tensor, logit: Tensor) -> tuple[Tensor, Tensor]:
    """The same with the logits of sinks, which broadcast to the log-sum-exp."""
    if ir.weighting.is_softmax:
        total = torch.logaddexp(lse, logit.expand_as(lse))
        share = torch.exp(lse - total)
    else:
        total = lse + logit.exp()
        share = lse / total
    return out * share.unsqueeze(-1).to(out.dtype), total


def gated(ir: BoundIR, out: Tensor, inputs: Inputs) -> Tensor:
    """The output after the gate."""
    gate = ir.weighting.gate
    return out if gate is None else out * per_query(ir, gate, inputs, out)


def per_query(ir: BoundIR, root: Expr, inputs: Inputs, like: Tensor) -> Tensor:
    """A sink, gate or decay, broadcastable to [batch, heads, queries, channels], in `like`'s type."""
    leaf = leaf_per_query(ir, inputs, like.device)
    return torch.as_tensor(evaluate(root, leaf), device=like.device).to(like.dtype)


def leaf_per_query(ir: BoundIR, inputs: Inputs, device: torch.device) -> Callable[[Expr, Sequence[Any]], Any]:
    """The values of what a sink, gate, decay or combination may read, for `torch_expression.evaluate`."""

    def leaf(node: Expr, operands: Sequence[Any]) -> Any:
        match node:
            case Head():
                return torch.arange(ir.heads, device=device).view(1, -1, 1, 1)
            case InputElement(name):
                return _element(inputs[name], list(operands), device)
            case WholeInput(name):
                return _whole(ir, name, inputs[name])
            case SoftmaxOfHeads():
                return softmax_of_heads(ir.heads, *operands)
            case TopOfHeads():
                return top_of_heads(ir.heads, *operands)
        raise TypeError(f"{type(node).__name__} does not belong into a sink, gate or decay")

    return leaf


def _element(value: Tensor, indices: list[Any], device: torch.device) -> Tensor:
    if value.ndim > len(indices):
        indices = [torch.arange(len(value), device=device).view(-1, 1, 1, 1), *indices]
    return value[tuple(indices)]


def _whole(ir: BoundIR, name: str, value: Tensor) -> Tensor:
    """An input over some of query, heads and dim, in any order, as [batch or 1, heads, queries, channels]."""
    declared = next(each for each in ir.inputs if each.name == name)
    names = ["query" if each == "tokens" else each for each in declared.shape]
    if value.ndim == len(names):
        value = value.unsqueeze(0)
    order = [0, *(1 + names.index(each) for each in ("heads", "query", "dim") if each in names)]
    value = value.permute(order)
    if "dim" not in names and value.is_floating_point() and value.dtype.itemsize < 4:
        value = value.float()  # a number per head or token costs nothing to be exact
    for place, each in enumerate(("heads", "query", "dim"), 1):
        if each not in names:
            value = value.unsqueeze(place)
    return value
