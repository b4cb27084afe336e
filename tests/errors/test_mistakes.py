"""Mistakes that users make, each with its whole rendered error as a golden file (tests/golden/errors)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import attndsl
from attndsl.diagnostics import AttnError

TEXTS = Path(__file__).parent / "texts"
BODY = "    space tokens(n)\n    attend "


@pytest.mark.parametrize("name", sorted(path.stem for path in TEXTS.glob("*.attn")))
def test_mistake_in_the_text(name: str, golden: Callable[[str, str], None]) -> None:
    text = (TEXTS / f"{name}.attn").read_text(encoding="utf-8")
    with pytest.raises(AttnError) as caught:
        attndsl.parse(text, name="my.attn")
    golden(f"errors/{name}.txt", caught.value.render() + "\n")


WINDOW = """pattern p(window: int[axes], stride: int[axes] = 1):
    space video(t, h)
    attend neighborhood(window, stride)
"""
LOCAL = "pattern p:\n    space tokens(n)\n    attend sliding(left = -1)\n"
PER_HEAD = "pattern p(alpha: int[heads]):\n" + BODY + "k.n < alpha[head + 1]\n"
CROSS = "pattern p:\n    query space frames(f)\n    key space context(c)\n    attend q.f <= k.c\n"
LATE_DEFAULT = "pattern p(a: int = b, b: int = 2):\n" + BODY + "q.n < a + b\n"
TEXT_QUANTIFIER = """pattern p:
    space v(t, h) ++ text(n)
    attend
        v -> v: true
        else: all axis a: q.a == k.a
"""

TABLE = """pattern p(size: int):
    space tokens(n)
    input table: real[heads, size]
    attend true
    score s + table[head, q.n]
"""
DOT = """pattern p:
    space tokens(n)
    input bq: real[heads, query, r]
    input bk: real[heads, key, r]
    attend true
    score {}
"""

CHOICE = "pattern p(f: relu | elu1):\n    space tokens(n)\n    attend true\n    feature f\n    weight s\n"

ROUTE = """pattern p(inner: int, outer: int, count: int):
    space tokens(n)
    blocks g of n by inner
    blocks b of n by outer
    route score sum(stack(q in g) . stack(k in g) in b)
          select top(count) per b
    attend causal
"""

GROUPS = """pattern p(clusters: int):
    space tokens(n)
    input centroids: real[4, dim]
    groups c of clusters
    route queries score unit(q) . centroids[c]
                  select top(8) per c
    route keys score unit(k) . centroids[c]
               select top(8) per c
    attend causal
"""

FADING = """pattern p(alpha: real[heads]):
    space tokens(n)
    attend causal
    decay alpha[head] per step of n
"""
FORGETTING = "pattern p:\n    space tokens(n)\n    attend causal\n    decay 1 - 1.0 per step of n\n"

NUMBERS: dict[str, tuple[str, dict[str, Any]]] = {
    "no_groups": (GROUPS, {"shape": 8, "clusters": 0}),
    "more_groups_than_vectors": (GROUPS, {"shape": 8, "clusters": 5}),
    "decay_below_zero": (FADING, {"shape": 8, "heads": 2, "alpha": (0.5, -0.5)}),
    "decay_of_zero": (FORGETTING, {"shape": 8}),
    "no_choice": (CHOICE, {"shape": 8}),
    "unknown_choice_at_bind": (CHOICE, {"shape": 8, "f": "elu"}),
    "missing_parameter": (WINDOW, {"shape": (4, 4)}),
    "missing_shape": (WINDOW, {"window": 3}),
    "unknown_parameter": (WINDOW, {"shape": (4, 4), "windw": 3}),
    "wrong_kind_of_parameter": (WINDOW, {"shape": (4, 4), "window": 2.5}),
    "text_for_parameter": (WINDOW, {"shape": (4, 4), "window": "three"}),
    "integer_too_large": (WINDOW, {"shape": (4, 4), "window": 2**63}),
    "real_not_finite": ("pattern p(r: real):\n" + BODY + "q.n < r\n", {"shape": 4, "r": float("nan")}),
    "real_too_large": ("pattern p(r: real):\n" + BODY + "q.n < r\n", {"shape": 4, "r": 10**400}),
    "wrong_number_of_elements": (WINDOW, {"shape": (4, 4), "window": (3, 3, 3)}),
    "wrong_rank_of_shape": (WINDOW, {"shape": (4, 4, 4), "window": 3}),
    "extent_of_zero": (WINDOW, {"shape": (4, 0), "window": 3}),
    "extent_too_large": (WINDOW, {"shape": (4, 10**12), "window": 3}),
    "extent_not_an_integer": (WINDOW, {"shape": (4, 2.5), "window": 3}),
    "too_many_tokens": (WINDOW, {"shape": (2**20, 2**20), "window": 3}),
    "heads_not_divisible": (WINDOW, {"shape": (4, 4), "window": 3, "heads": 6, "kv_heads": 4}),
    "heads_of_zero": (WINDOW, {"shape": (4, 4), "window": 3, "heads": 0}),
    "heads_missing": (PER_HEAD, {"shape": 8, "alpha": (1, 2)}),
    "key_shape_for_one_space": (WINDOW, {"shape": (4, 4), "key_shape": (4, 4), "window": 3}),
    "key_shape_missing": (CROSS, {"shape": 4}),
    "stride_above_window": (WINDOW, {"shape": (8, 8), "window": 3, "stride": (1, 4)}),
    "window_above_axis": (WINDOW, {"shape": (8, 2), "window": 3}),
    "requirement_of_a_literal": (LOCAL, {"shape": 8}),
    "division_by_zero": ("pattern p(d: int):\n" + BODY + "q.n // d == k.n // d\n", {"shape": 8, "d": 0}),
    "divisor_may_be_zero": ("pattern p:\n" + BODY + "q.n // (q.n - 3) == 1\n", {"shape": 8}),
    "exponent_may_be_negative": ("pattern p:\n" + BODY + "2 ** (q.n - 3) < 9\n", {"shape": 8}),
    "integer_overflow": ("pattern p:\n" + BODY + "q.n ** 40 < k.n\n", {"shape": 1000}),
    "constant_overflow": ("pattern p:\n" + BODY + "10 ** 10 ** 10 > q.n\n", {"shape": 8}),
    "log_of_zero": ("pattern p:\n" + BODY + "log2(q.n) < 3\n", {"shape": 8}),
    "head_index_outside": (PER_HEAD, {"shape": 8, "heads": 2, "alpha": (1, 2)}),
    "element_outside": ("pattern p(a: int[2]):\n" + BODY + "q.n < a[2]\n", {"shape": 8, "a": (1, 2)}),
    "default_uses_later_parameter": (LATE_DEFAULT, {"shape": 8}),
    "table_index_outside": (TABLE, {"shape": 8, "heads": 2, "size": 7}),
    "table_of_no_elements": (TABLE, {"shape": 8, "heads": 2, "size": 0}),
    "dot_not_beside_s": (DOT.format("2.0 * dot(bq, bk)"), {"shape": 8, "heads": 2}),
    "dot_over_query_heads": (DOT.format("s + dot(bq, bk)"), {"shape": 8, "heads": 4, "kv_heads": 2}),
    "route_keeps_less_than_nothing": (ROUTE, {"shape": 16, "inner": 2, "outer": 4, "count": -1}),
    "route_keeps_more_than_all": (
        ROUTE.replace("top(count)", "nucleus(count)"),
        {"shape": 16, "inner": 2, "outer": 4, "count": 90},
    ),
    "route_blocks_across_blocks": (ROUTE, {"shape": 16, "inner": 3, "outer": 4, "count": 2}),
    "quantifier_over_segments_of_two_ranks": (TEXT_QUANTIFIER, {"shape": (2, 2), "text": 3}),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_mistake_in_the_numbers(name: str, golden: Callable[[str, str], None]) -> None:
    text, numbers = NUMBERS[name]
    pattern = attndsl.parse(text, name="my.attn")
    with pytest.raises(AttnError) as caught:
        pattern.bind(**numbers)
    golden(f"errors/{name}.txt", caught.value.render() + "\n")


def test_mask_too_large(golden: Callable[[str, str], None]) -> None:
    bound = attndsl.pattern("causal").bind(shape=2**20)
    with pytest.raises(AttnError) as caught:
        bound.mask()
    golden("errors/mask_too_large.txt", caught.value.render() + "\n")


@pytest.mark.parametrize(
    ("name", "inputs"),
    {
        "input_missing": {},
        "input_unknown": {"doc": [0] * 4, "dco": [0] * 4},
        "input_of_wrong_length": {"doc": [0] * 5},
    }.items(),
)
def test_mistake_in_the_inputs(
    name: str, inputs: dict[str, object], golden: Callable[[str, str], None]
) -> None:
    with pytest.raises(AttnError) as caught:
        attndsl.pattern("document").bind(shape=4).mask(**inputs)
    golden(f"errors/{name}.txt", caught.value.render() + "\n")


def test_unknown_library_pattern(golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AttnError) as caught:
        attndsl.pattern("radail")
    golden("errors/unknown_library_pattern.txt", caught.value.render() + "\n")
