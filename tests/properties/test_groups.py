"""Random patterns of groups: members and outputs by a direct evaluation of what they say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import attndsl
from tests.runtime.test_select_rules import by_definition

Array = np.ndarray[Any, Any]

RULES: dict[str, list[float]] = {
    "top(0)": [0], "top(3)": [3], "ranks(1, 4)": [1, 4], "ratio(0.5)": [0.5], "threshold(0.4)": [0.4],
    "threshold(9.0, 1)": [9.0, 1],
}  # fmt: skip
POOLS = {"c": 2, "head": 1, "all": 0}
"""The dimensions of a map [heads, groups, tokens] that pools are apart in."""
MASKS = {
    "true": lambda i, j: True,
    "causal": lambda i, j: j <= i,
    "abs(q.n - k.n) < 4": lambda i, j: abs(i - j) < 4,
}
"""What queries and keys see of one another."""


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "tokens": draw(st.integers(1, 14)),
        "groups": draw(st.integers(1, 4)),
        "heads": draw(st.integers(1, 3)),
        "queries": draw(st.tuples(st.sampled_from(sorted(RULES)), st.sampled_from(sorted(POOLS)))),
        "keys": draw(st.tuples(st.sampled_from(sorted(RULES)), st.sampled_from(sorted(POOLS)))),
        "attend": draw(st.sampled_from(sorted(MASKS))),
        "seed": draw(st.integers(0, 99)),
    }


@given(cases())
@settings(max_examples=25, deadline=None)
def test_random_groups_have_the_members_and_outputs_that_they_say(case: dict[str, Any]) -> None:
    bound = attndsl.parse(f"""
pattern p:
    space tokens(n)
    input centroids: real[heads, {case["groups"]}, dim]
    groups c of {case["groups"]}
    route queries score unit(q) . centroids[head, c]
                  select {case["queries"][0]} per {case["queries"][1]}
    route keys score unit(k) . centroids[head, c]
               select {case["keys"][0]} per {case["keys"][1]}
    attend {case["attend"]}
""").bind(shape=case["tokens"], heads=case["heads"])
    generator = torch.Generator().manual_seed(case["seed"])
    shape = 1, case["heads"], case["tokens"], 5
    q, k, v = (torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(3))
    centroids = torch.randn(case["heads"], case["groups"], 5, dtype=torch.float64, generator=generator)
    plans = bound.plan(q, k, centroids=centroids)
    members = {
        name: expected(case[name], x[0].numpy(), centroids.numpy())
        for name, x in (("queries", q), ("keys", k))
    }
    for name, wanted in members.items():
        assert np.array_equal(plans[name].of_heads(case["heads"])[0], wanted)
    found = bound(q, k, v, centroids=centroids)[0].numpy()
    wanted = outputs(q[0].numpy(), k[0].numpy(), v[0].numpy(), members, MASKS[case["attend"]])
    np.testing.assert_allclose(found, wanted, atol=1e-12, rtol=1e-12)


def expected(selection: tuple[str, str], x: Array, centroids: Array) -> Array:
    """Which tokens are in each group, bool [heads, groups, tokens]."""
    rule, pool = selection
    scores = centroids @ (x / np.linalg.norm(x, axis=-1, keepdims=True)).swapaxes(1, 2)
    chosen = np.zeros(scores.shape, dtype=bool)
    name, arguments = rule.split("(")[0], list(RULES[rule])
    for place in np.ndindex(scores.shape[: POOLS[pool]]):
        flat = scores[place].reshape(-1).tolist()
        if name == "top":
            arguments = [RULES[rule][0] * len(flat) // scores.shape[2]]
        chosen[place].reshape(-1)[sorted(by_definition(name, flat, set(), arguments))] = True
    return chosen


def outputs(q: Array, k: Array, v: Array, members: dict[str, Array], sees: Any) -> Array:
    """The mean over groups, query by query."""
    found = np.zeros((*q.shape[:2], v.shape[2]))
    for h, i in np.ndindex(*q.shape[:2]):
        parts = []
        for c in np.flatnonzero(members["queries"][h, :, i]):
            keys = [j for j in np.flatnonzero(members["keys"][h, c]) if sees(i, j)]
            weights = np.array([math.exp(q[h, i] @ k[h, j] * q.shape[2] ** -0.5) for j in keys])
            parts.append(weights @ v[h, keys] / weights.sum() if keys else np.zeros(v.shape[2]))
        found[h, i] = np.mean(parts, axis=0) if parts else 0.0
    return found
