"""Columns and diagonals that a few probe rows choose, by the formula: see `routed.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from tests.patterns.routed import (
    Inputs,
    Masks,
    Setting,
    arrays,
    causal,
    each_head,
    largest,
    no_pairs,
    softmax,
)


def minference(q: Tensor, k: Tensor, setting: Setting, inputs: Inputs) -> Masks:
    queries, keys = arrays(q, k)
    n, first, near = queries.shape[2], setting["first"], setting["near"]
    rows = min(setting["probe"], n)
    mask, place = no_pairs(queries, n), np.arange(n)
    for b, h in each_head(queries):
        scores = queries[b, h, n - rows :] @ keys[b, h].T * q.shape[3] ** -0.5
        weights = softmax(np.where(causal(n)[n - rows :], scores, -np.inf))
        columns = weights.sum(0)
        columns[:first] = np.inf
        diagonals = np.array(
            [sum(weights[r, n - rows + r - d] for r in range(rows) if n - rows + r >= d) for d in range(n)]
        )
        diagonals[:near] = np.inf
        mask[b, h][:, largest(columns, max(setting["vertical"], first))] = True
        chosen = largest(diagonals, max(setting["slash"], near))
        mask[b, h] |= np.isin(place[:, None] - place, chosen)
    return {"": mask & causal(n)}


EDGES: dict[str, dict[str, Any]] = {
    "one column and one diagonal": {"vertical": 1, "slash": 1, "probe": 4, "first": 0, "near": 0},
    "forced ones only": {"vertical": 0, "slash": 0, "probe": 4, "first": 2, "near": 3},
    "nothing": {"vertical": 0, "slash": 0, "probe": 4, "first": 0, "near": 0},
    "all columns": {"vertical": 99, "slash": 0, "probe": 4, "first": 0, "near": 1},
    "all diagonals": {"vertical": 0, "slash": 99, "probe": 4, "first": 1, "near": 0},
    "more probe rows than queries": {"vertical": 3, "slash": 4, "probe": 99, "first": 1, "near": 1},
    "one probe row": {"vertical": 3, "slash": 4, "probe": 1, "first": 1, "near": 1},
}
EDGES = {name: {"shape": 30, "heads": 4, "kv_heads": 2, **each} for name, each in EDGES.items()}
EDGES["one token"] = {**EDGES["one probe row"], "shape": 1}
