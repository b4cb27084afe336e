"""A function of a file comes before those of the same name that single clauses know."""

from __future__ import annotations

import pytest

import attndsl
from attndsl.ir.pattern import PatternIR

COMBINED = """
def {name}(a, b):
    return a + 0.5 * b

pattern p:
    space tokens(n)
    branch near:
        attend sliding(4)
    branch far:
        attend causal
    combine {call}(near, far)
"""
ROUTED = """
def {name}(x):
    return x * x

pattern p:
    space tokens(n)
    blocks b of n by 16
    input w: real[key]
    route score {score}
          select top(2) per query
    attend causal
"""
FEATURED = """
def {name}(x):
    return 2.0 * x

pattern p:
    space tokens(n)
    attend causal
    feature {call}
    weight s
"""


def parsed(text: str, name: str, **parts: str) -> PatternIR:
    ir: PatternIR = attndsl.parse(text.format(name=name, **parts)).ir
    return ir


@pytest.mark.parametrize("name", ["joint", "project"])
def test_in_combinations(name: str) -> None:
    assert parsed(COMBINED, name, call=name) == parsed(COMBINED, "own", call="own")


def test_in_feature_maps() -> None:
    assert parsed(FEATURED, "softmax", call="softmax") == parsed(FEATURED, "own", call="own")


@pytest.mark.parametrize("name", ["softmax", "mean", "sum", "similarity"])
def test_in_routes(name: str) -> None:
    assert parsed(ROUTED, name, score=f"{name}(w[k])") == parsed(ROUTED, "own", score="own(w[k])")


def test_pools_are_no_calls() -> None:
    assert parsed(ROUTED, "mean", score="mean(k in b) . q") == parsed(ROUTED, "own", score="mean(k in b) . q")
