"""Random routes select what their text says, by a direct evaluation of scores, conditions and rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import attndsl
from tests.runtime.test_select_rules import by_definition

Array = np.ndarray[Any, Any]

SCORES = {
    "mean(k in b) . q": ("token", "mean"),
    "mean(k in b) . mean(q in b)": ("block", "mean"),
    "max(q . k in k.b)": ("token", "max"),
    "sum(q . k in b)": ("block", "sum"),
}
"""What the rows of the map stand for, and how tokens of keys are pooled."""
CONDITIONS: dict[str, Callable[[int, int], bool]] = {
    "true": lambda row, column: True,
    "false": lambda row, column: False,
    "k.b <= q.b": lambda row, column: column <= row,
    "abs(q.b - k.b) < 2": lambda row, column: abs(row - column) < 2,
    "k.b == 0 or k.b == q.b": lambda row, column: column in (0, row),
    "(q.b + k.b) % 2 == 0": lambda row, column: (row + column) % 2 == 0,
}
RULES: dict[str, list[float]] = {
    "top(0)": [0], "top(2)": [2], "ranks(1, 3)": [1, 3], "ratio(0.5)": [0.5], "ratio(0.1, 1)": [0.1, 1],
    "drop(0.4)": [0.4], "threshold(0.2)": [0.2], "threshold(9.0, 1)": [9.0, 1], "spread(0.6)": [0.6],
}  # fmt: skip
POOLS = {"query": 1, "head": 2, "all": 3}


def scores_of(q: Array, k: Array, blocks: list[Array], rows: list[Array], kind: str) -> Array:
    """[heads, rows, blocks]: every product of a row's queries and a block's keys, pooled."""
    products = q @ k.swapaxes(1, 2)
    pools: dict[str, Callable[..., Any]] = {"mean": np.mean, "max": np.max, "sum": np.sum}
    pool = pools[kind]
    cells = [[pool(products[:, r][:, :, c], axis=(1, 2)) for c in blocks] for r in rows]
    return np.stack([np.stack(each, -1) for each in cells], 1)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "tokens": draw(st.integers(1, 20)),
        "block": draw(st.integers(1, 6)),
        "heads": draw(st.integers(1, 2)),
        "score": draw(st.sampled_from(sorted(SCORES))),
        "rule": draw(st.sampled_from(sorted(RULES))),
        "pool": draw(st.sampled_from(sorted(POOLS))),
        **{word: draw(st.sampled_from(sorted(CONDITIONS))) for word in ("among", "prefer", "always")},
    }


@given(cases())
@settings(max_examples=120, deadline=None)
def test_a_random_route_selects_what_it_says(case: dict[str, Any]) -> None:
    rows_are, kind = SCORES[case["score"]]
    rows = {"query": "query" if rows_are == "token" else "b"}.get(case["pool"], case["pool"])
    bound = attndsl.parse(f"""
pattern p:
    space tokens(n)
    blocks b of n by {case["block"]}
    route score {case["score"]}
          among {case["among"]}
          select {case["rule"]} per {rows}
          prefer {case["prefer"]}
          always {case["always"]}
    attend true
""").bind(shape=case["tokens"], heads=case["heads"])
    generator = torch.Generator().manual_seed(case["tokens"] * 7 + case["block"])
    shape = 1, case["heads"], case["tokens"], 5
    q, k = (torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(2))
    found = bound.plan(q, k).of_heads(case["heads"])[0]
    wanted = expected(case, q[0].numpy(), k[0].numpy(), kind)
    assert np.array_equal(np.broadcast_to(found, wanted.shape), wanted)


def expected(case: dict[str, Any], q: Array, k: Array, kind: str) -> Array:
    """Which pairs of tokens are listed, bool [heads, tokens, tokens]."""
    tokens, block = case["tokens"], case["block"]
    blocks = [np.arange(start, min(start + block, tokens)) for start in range(0, tokens, block)]
    rows = [np.array([token]) for token in range(tokens)] if SCORES[case["score"]][0] == "token" else blocks
    scores = scores_of(q, k, blocks, rows, kind)
    among, prefer, always = (
        np.array(
            [
                [CONDITIONS[case[word]](row[0] // block, column) for column in range(len(blocks))]
                for row in rows
            ]
        )
        for word in ("among", "prefer", "always")
    )
    scores = np.where(among & ~always, scores, -math.inf)
    chosen = np.broadcast_to(always, scores.shape).copy()
    outer = [range(size) for size in scores.shape[: 3 - POOLS[case["pool"]]]]
    for place in product(*outer):
        flat = scores[place].reshape(-1).tolist()
        first = np.broadcast_to(prefer, scores.shape)[place].reshape(-1)
        name, arguments = case["rule"].split("(")[0], list(RULES[case["rule"]])
        if name == "top":
            arguments[0] *= len(flat) // len(blocks)
        kept = by_definition(name, flat, set(np.flatnonzero(first).tolist()), arguments)
        chosen[place].reshape(-1)[sorted(kept)] = True
    mask = np.zeros((len(q), tokens, tokens), dtype=bool)
    for head, row, column in np.argwhere(chosen):
        mask[head, rows[row][:, None], blocks[column]] = True
    return mask
