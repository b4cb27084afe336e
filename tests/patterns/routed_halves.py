"""HiP by its formula, one search at a time: see `routed.py`."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from torch import Tensor

from tests.patterns.routed import Inputs, Masks, Setting, arrays, causal, each_head, no_pairs, runs


def hip(q: Tensor, k: Tensor, setting: Setting, inputs: Inputs) -> Masks:
    queries, keys = arrays(q, k)
    n = queries.shape[2]
    blocks, mask = runs(n, setting["block_k"]), no_pairs(queries, n)
    wanted = math.ceil(setting["mask_k"] / setting["block_k"])
    for b, h in each_head(queries):
        for a, tokens in enumerate(runs(n, setting["block_q"])):
            rows = tokens[1::2] if len(tokens) > 1 else tokens
            reach = min((a + 1) * setting["block_q"], n)
            worth = [
                (queries[b, h, rows] @ keys[b, h, block[block < reach]].T).max()
                for block in blocks
                if block[0] < reach
            ]
            for j in searched(worth, wanted):
                mask[b, h, tokens[:, None], blocks[j]] = True
    return {"": mask & causal(n)}


def searched(worth: list[float], wanted: int) -> list[int]:
    """The blocks that are left when no group can be halved."""
    count = len(worth)
    if count <= wanted:
        return list(range(count))
    borders = [count * i // wanted for i in range(wanted + 1)]
    groups = list(pairwise(borders))
    size = count / wanted
    while size > 1:
        halves = []
        for start, end in groups:
            middle = start + (end - start) // 2
            halves += [each for each in ((start, middle), (middle, end)) if each[0] < each[1]]
        groups = sorted(halves, key=lambda group: -worth[group[0]])[:wanted]
        size /= 2
    assert all(end - start == 1 for start, end in groups)
    return [start for start, _ in groups]


EDGES: dict[str, dict[str, Any]] = {
    "one block of keys": {"shape": 40, "heads": 2, "mask_k": 1, "block_k": 4, "block_q": 8},
    "all keys": {"shape": 40, "heads": 1, "mask_k": 99, "block_k": 4, "block_q": 8},
    "short last blocks": {"shape": 59, "heads": 4, "kv_heads": 2, "mask_k": 6, "block_k": 4, "block_q": 8},
    "a block of one query": {"shape": 49, "heads": 2, "mask_k": 10, "block_k": 2, "block_q": 8},
    "blocks of few queries": {"shape": 60, "heads": 2, "mask_k": 16, "block_k": 8, "block_q": 2},
    "blocks of keys that end after the queries": {
        "shape": 60, "heads": 2, "mask_k": 6, "block_k": 4, "block_q": 9
    },
    "queries one by one": {"shape": 30, "heads": 2, "mask_k": 6, "block_k": 2, "block_q": 1},
    "one token": {"shape": 1, "heads": 1, "mask_k": 4, "block_k": 2, "block_q": 8},
}  # fmt: skip
