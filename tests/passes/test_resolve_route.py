"""Routes before and after bind: units, pools and rules, as printed and as equal IR."""

from __future__ import annotations

import pytest

import attndsl
from attndsl.ir.pattern import PatternIR
from attndsl.ir.pattern_text import pattern_text
from attndsl.ir.route import Route
from attndsl.ir.text import bound_text

HEAD = """pattern p(count: int = 2, share: real = 0.0, pool: query | head | all = query):
    space tokens(n)
    input bias: real[heads, key]
    blocks a of n by 8
    blocks b of n by 4
"""


def ir(score: str, *phrases: str) -> PatternIR:
    lines = "\n          ".join([f"score {score}", *phrases])
    found: PatternIR = attndsl.parse(f"{HEAD}    route {lines}\n    attend true\n").ir
    return found


def route(score: str, *phrases: str) -> Route:
    found = ir(score, *phrases).route
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("score", "per", "units"),
    [
        ("mean(k in b) . q", "query", ("", "b")),
        ("mean(k in b) . mean(q in a)", "a", ("a", "b")),
        ("q . k", "query", ("", "")),
        ("bias[head, k]", "query", ("", "")),
        ("bias[head, k]", "a", ("a", "")),
        ("sum(q . k in b)", "b", ("b", "b")),
        ("sum(q . k in k.b)", "query", ("", "b")),
        ("1.0 * k.b", "query", ("", "b")),
        ("similarity(k in b) * q.a", "a", ("a", "b")),
    ],
)
def test_rows_and_columns_are_what_the_score_has_one_value_for(
    score: str, per: str, units: tuple[str, str]
) -> None:
    found = route(score, f"select top(1) per {per}")
    assert (found.queries, found.keys) == units


@pytest.mark.parametrize(
    ("per", "pools", "choice"),
    [
        (" per query", ("query",), ""),
        (" per query, head", ("query",), ""),
        (" per head", ("head",), ""),
        (" per all", ("all",), ""),
        ("", ("all",), ""),
        (" per pool", ("query", "head", "all"), "pool"),
    ],
)
def test_pools_of_competition(per: str, pools: tuple[str, ...], choice: str) -> None:
    found = route("mean(k in b) . q", f"select top(1){per}")
    assert (found.per, found.choice) == (pools, choice)


def test_bind_takes_the_rule_and_the_pool_that_numbers_choose() -> None:
    pattern = attndsl.parse(
        f"{HEAD}    route score mean(k in b) . q\n"
        "          select nucleus(share) if share > 0.0 else top(count) per pool\n    attend true\n"
    )
    chosen = [
        pattern.bind(shape=16, heads=1, **numbers).ir.route
        for numbers in ({"share": 0.5, "pool": "all"}, {"count": 3})
    ]
    assert [(each.rule.name, each.per) for each in chosen] == [("nucleus", ("all",)), ("top", ("query",))]


def test_the_text_of_a_route_is_read_back() -> None:
    own = ir(
        "softmax(scale * q . mean(k in b), k.b <= q.b) - max(q . q, 0.5)",
        "among not (k.b > q.b)",
        "select within(share, 1) if share > 0.0 else top(count + 1) per query",
        "prefer k.b == q.b",
        "always k.b < 1",
    )
    assert attndsl.parse(pattern_text(own)).ir == own


def test_the_listing_of_a_bound_route() -> None:
    bound = attndsl.pattern("moba").bind(shape=64, heads=2, block=16, topk=3)
    assert bound_text(bound.ir).splitlines()[4:] == [
        "    blocks b of n by 16",
        "    route score mean(k in b) . q",
        "          among k.b < q.b",
        "          select top(2) per query",
        "          always k.b == q.b",
    ]
