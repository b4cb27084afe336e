"""Numbers of tokens and numbers of blocks: which comparisons are refused, and which say what they mean."""

from __future__ import annotations

import pytest

import attndsl
from attndsl.diagnostics import AttnTypeError

POOLED = """
pattern p(size: int):
    space tokens(n)
    blocks b of n by size
    key mean(k in b)
    value mean(v in b)
    attend {}
"""
BOTH = """
pattern p(size: int):
    space tokens(n)
    blocks b of n by size
    branch gather:
        query mean(q in b)
        key mean(k in b)
        value mean(v in b)
        attend {}
    branch spread:
        key mean(k in b)
        value gather
        attend true
    combine spread
"""
ROUTED = """
pattern p(size: int):
    space tokens(n)
    blocks b of n by size
    route score mean(k in b) . q
          among {}
          select top(2) per query
    attend causal
"""


@pytest.mark.parametrize(
    "condition",
    [
        "causal",
        "sliding(2)",
        "same_window(2)",
        "neighborhood(3)",
        "band(q.n, k.b, 2, 2)",
        "same_block(q.n, k.b, 2)",
        "same_residue(q.n, k.b, 2)",
        "all axis a: q.a >= k.a",
        "k.b <= (q.n if q.n < 4 else 4)",
        "max(q.n - k.b, 0) < 4",
        "2 * k.b <= q.n * 2",
    ],
)
def test_tokens_and_blocks_are_not_compared(condition: str) -> None:
    with pytest.raises(AttnTypeError) as caught:
        attndsl.parse(POOLED.format(condition))
    assert caught.value.code == "A0348"
    assert caught.value.span is not None
    assert caught.value.span.text in condition


@pytest.mark.parametrize(
    "condition",
    [
        "true",
        "sink(1)",
        "k.b <= q.n // size",
        "(k.b + 1) * size <= q.n + 1",
        "band(q.n // size, k.b, 1, 0)",
        "q.n - k.b * size < 8",
        "k.b < 2 or q.n < 2",
    ],
)
def test_what_is_multiplied_or_divided_counts_something_else(condition: str) -> None:
    assert attndsl.parse(POOLED.format(condition)).bind(shape=16, size=4).mask().shape == (1, 16, 4)


@pytest.mark.parametrize("condition", ["causal", "sliding(1)", "k.b <= q.b"])
def test_blocks_are_compared_with_blocks(condition: str) -> None:
    bound = attndsl.parse(BOTH.format(condition)).bind(shape=16, size=4)
    assert bound.branches["gather"].mask().shape == (1, 4, 4)


def test_routes_compare_blocks_with_blocks() -> None:
    assert attndsl.parse(ROUTED.format("k.b <= q.b")).ir.route is not None
    with pytest.raises(AttnTypeError) as caught:
        attndsl.parse(ROUTED.format("k.b <= q.n"))
    assert caught.value.code == "A0348"
