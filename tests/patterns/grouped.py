"""Patterns of groups by their formulas, in float64 NumPy and torch, from the papers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Members:
    """Bool [batch, heads, groups, tokens]: which queries and keys are in each group."""

    queries: Array
    keys: Array


def nearest(vectors: Tensor, centroids: Tensor, count: int) -> Array:
    """The tokens most similar to each centroid. vectors: [batch, heads, tokens, dim]."""
    found = vectors.detach().double().numpy()
    lengths = np.linalg.norm(found, axis=-1, keepdims=True)
    similar = np.einsum("bhnd,bhcd->bhcn", found / np.maximum(lengths, 1e-12), centroids.double().numpy())
    chosen = np.zeros(similar.shape, dtype=bool)
    places = np.argsort(-similar, axis=-1, kind="stable")[..., :count]
    np.put_along_axis(chosen, places, True, axis=-1)
    return chosen


def routing_transformer(q: Tensor, k: Tensor, centroids: Tensor, window: int) -> Members:
    """A. Roy et al., 2020, arXiv:2003.05997. centroids: [heads, clusters, dim], perhaps with a batch."""
    own = centroids.detach().expand(len(q), *centroids.shape[-3:])
    return Members(nearest(q, own, window), nearest(k, own, window))


def mean_over_groups(q: Tensor, k: Tensor, v: Tensor, members: Members, visible: Array) -> Tensor:
    """Softmax attention inside each group, row by row, and the mean over the groups of each query."""
    rows = []
    for b, h, i in np.ndindex(*q.shape[:3]):
        parts = []
        for c in np.flatnonzero(members.queries[b, h, :, i]):
            keys = torch.from_numpy(np.flatnonzero(members.keys[b, h, c] & visible[i]))
            scores = k[b, h, keys] @ q[b, h, i] * q.shape[3] ** -0.5
            parts.append(torch.softmax(scores, 0) @ v[b, h, keys])
        rows.append(torch.stack(parts).mean(0) if parts else 0.0 * v[b, h, 0])
    return torch.stack(rows).view(*q.shape[:3], v.shape[3])
