"""Attention over pairs of tokens that are given as data, in torch; gradients by their formulas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR, Region, Segment
from attndsl.ir.derivative import derivative
from attndsl.ir.expr import PRODUCT, TRUE, Expr, InputAt, InputElement, Term
from attndsl.runtime.torch_scores import Block


@dataclass(frozen=True)
class Pairs:
    """Queries [queries], and for each list head keys [batch, list heads, keys].

    listed: which pairs count, bool [batch, list heads, queries, keys]. A list head serves as many query heads
    in a row as there are.
    """

    ir: BoundIR
    queries: Tensor
    keys: Tensor
    listed: Tensor
    inputs: Mapping[str, Tensor]

    @property
    def group(self) -> int:
        """Query heads per list head."""
        return self.ir.heads // self.keys.shape[1]

    def visible(self) -> Tensor:
        """Which listed pairs the static mask shows, bool [batch, heads, queries, keys]."""
        listed = self.listed.repeat_interleave(self.group, dim=1)
        if all(region.visible is TRUE for region in self.ir.regions):
            return listed
        shown = torch.zeros_like(listed)
        for region in self.ir.regions:
            block, inside = self.in_region(region)
            value = torch.as_tensor(block.value(region.visible), device=listed.device)
            shown = shown | (value & inside)
        return listed & shown

    def weighting(self, root: Expr, product: Tensor) -> Tensor:
        """An expression of the weighting; product: [batch, heads, queries, keys]."""
        if root is PRODUCT:
            return product
        result = torch.zeros_like(product)
        for region in self.ir.regions:
            block, inside = self.in_region(region)
            result = torch.where(inside, block.weighting(root, product), result)
        return result

    @property
    def root(self) -> Expr:
        """The score where weights are a softmax, else the weight, as functions of the scaled product."""
        weighting = self.ir.weighting
        return weighting.score if weighting.is_softmax else weighting.of_product

    def in_region(self, region: Region) -> tuple[Block, Tensor]:
        """The pairs as if all of them lay in a region, and which do."""
        query = self.ir.query_space.segments[region.query]
        key = self.ir.key_space.segments[region.key]
        device = self.keys.device
        heads = torch.arange(self.ir.heads, device=device).view(1, -1, 1, 1)
        batches = torch.arange(len(self.keys), device=device).view(-1, 1, 1, 1)
        queries = self.queries.view(1, 1, -1, 1)
        keys = self.keys.repeat_interleave(self.group, dim=1).unsqueeze(2)
        inside = _inside(queries, query) & _inside(keys, key)
        tokens = _clamped(queries, query), _clamped(keys, key)
        return Block(self.ir, region, *tokens, heads, batches, self.inputs), inside


def _inside(tokens: Tensor, segment: Segment) -> Tensor:
    return (tokens >= segment.offset) & (tokens < segment.offset + segment.size)


def _clamped(tokens: Tensor, segment: Segment) -> np.ndarray:
    return tokens.clamp(segment.offset, max(segment.offset + segment.size - 1, segment.offset)).cpu().numpy()


def attended(pairs: Pairs, q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Output [batch, heads, queries, Dv] and LSE, or sums of weights, of the visible pairs.

    q: [batch, heads, queries, D]; k, v: rows of the pairs' keys, [batch, list heads, keys, D or Dv].
    """
    weighting = pairs.ir.weighting
    product, visible = _products(pairs, q, k, scale), pairs.visible()
    weights, highest = _weights(pairs, product, visible)
    total = weights.sum(-1, keepdim=True)
    sums = (by_lists(pairs, weights) @ v).reshape(*total.shape[:-1], v.shape[-1])
    empty = total == 0
    divisor = torch.where(empty, 1.0, total)
    if weighting.is_softmax:
        return sums / divisor, torch.where(empty, -torch.inf, highest + torch.log(divisor)).squeeze(-1)
    if weighting.normalize == "none":
        return sums, total.squeeze(-1)
    return torch.where(empty, 0.0, sums / divisor), total.squeeze(-1)


@dataclass(frozen=True)
class PairGradients:
    """What the backward pass computes of pairs, each [batch, heads, queries, keys].

    weights: with their normaliser. roots: gradients of scores, or of weights where they are no softmax.
    products: gradients of scaled products.
    """

    product: Tensor
    weights: Tensor
    roots: Tensor
    products: Tensor


def gradients(
    pairs: Pairs, q: Tensor, k: Tensor, v: Tensor, scale: float, out_gradient: Tensor, lse_gradient: Tensor
) -> PairGradients:
    """The gradients of pairs from those of what `attended` gives; see `reference_gradients.py`."""
    weighting = pairs.ir.weighting
    product, visible = _products(pairs, q, k, scale), pairs.visible()
    weights, _ = _weights(pairs, product, visible)
    roots = (by_lists(pairs, out_gradient) @ v.mT).reshape(visible.shape)
    if weighting.normalize == "sum":
        total = weights.sum(-1, keepdim=True)
        factor = torch.where(total == 0, 0.0, 1 / torch.where(total == 0, 1.0, total))
        weights = weights * factor
        roots = roots - (weights * roots).sum(-1, keepdim=True)
        if weighting.is_softmax:
            roots = weights * (roots + lse_gradient.unsqueeze(-1).masked_fill(total == 0, 0.0))
        else:
            roots = roots * factor
    chain = pairs.weighting(derivative(pairs.root, PRODUCT), product)
    roots = torch.where(visible, roots, 0.0)
    return PairGradients(product, weights, roots, torch.where(visible, roots * chain, 0.0))


def add_input_gradients(pairs: Pairs, found: PairGradients, totals: Mapping[str, Tensor]) -> None:
    """Add what inputs contribute through the pairs to their gradients, float64, by name."""
    terms = [node for node in pairs.root.leaves if isinstance(node, Term)]
    for region in pairs.ir.regions:
        block, inside = pairs.in_region(region)
        for term in terms:
            root = region.terms[term.number]
            reads = [node for node in root.mentioned if isinstance(node, InputAt | InputElement)]
            for node in reads:
                if node.name in totals:
                    own = found.roots * block.weighting(derivative(pairs.root, term), found.product)
                    own = torch.where(inside, own * block.value(derivative(root, node)), 0.0)
                    places = [torch.as_tensor(place).expand(own.shape) for place in block.places(node)]
                    totals[node.name].index_put_(tuple(places), own.double(), accumulate=True)


def _products(pairs: Pairs, q: Tensor, k: Tensor, scale: float) -> Tensor:
    product = by_lists(pairs, q) @ k.mT * scale
    return product.reshape(*q.shape[:3], k.shape[2])


def _weights(pairs: Pairs, product: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Weights without their normaliser, and what was subtracted from the scores of each query."""
    values = pairs.weighting(pairs.root, product)
    if not pairs.ir.weighting.is_softmax:
        return torch.where(visible, values, 0.0), torch.zeros_like(product[..., :1])
    scores = values.masked_fill(~visible, -torch.inf)
    highest = _highest(scores)
    return torch.exp(scores - highest), highest


def _highest(scores: Tensor) -> Tensor:
    """The largest of each row, and 0 where all are hidden."""
    if not scores.shape[-1]:
        return scores.new_zeros((*scores.shape[:-1], 1))
    highest = scores.amax(-1, keepdim=True)
    return torch.where(highest == -torch.inf, 0.0, highest)


def by_lists(pairs: Pairs, rows: Tensor) -> Tensor:
    """[batch, heads, queries, ..] as [batch, list heads, rows that share a list, ..]."""
    lists = pairs.keys.shape[1]
    return rows.reshape(len(rows), lists, rows.shape[1] // lists * rows.shape[2], rows.shape[-1])
