"""Groups before and after bind: their text reads back, and maps of groups and tokens are bound patterns."""

from __future__ import annotations

import pytest

import attndsl
from attndsl.diagnostics import AttnBackendError, AttnError, AttnScheduleError, AttnUnsupportedError
from attndsl.ir.expr import Position
from attndsl.ir.pattern_text import pattern_text
from attndsl.ir.text import bound_text
from attndsl.passes.branch_spaces import on_branches
from attndsl.passes.row_by_row import refuse_rows
from attndsl.simulate.optimize import optimize

TEXT = """pattern p(clusters: int = 3):
    space tokens(n)
    input centroids: real[heads, clusters, dim]
    input doc: int[tokens]
    blocks b of n by 4
    groups c of clusters
    route queries score unit(q) . centroids[head, c]
                  among (doc[q] + c) % 2 == 0
                  select top(5) per c
    route keys score mean(k in b) . centroids[head, c]
               select ratio(0.5, 1) per head
               prefer k.b == 0
    attend doc[q] == doc[k]
"""
PATTERN = attndsl.parse(TEXT)
BOUND = PATTERN.bind(shape=20, heads=4, kv_heads=2)


def test_the_text_of_groups_reads_back() -> None:
    assert attndsl.parse(pattern_text(PATTERN.ir)).ir == PATTERN.ir


def test_the_number_of_a_group_is_a_coordinate_of_the_other_side() -> None:
    groups = PATTERN.ir.groups
    assert groups is not None
    assert Position("k", "c") in groups.queries.score.mentioned
    assert Position("q", "c") in groups.keys.score.mentioned


def test_groups_are_the_queries_of_bound_maps_and_members_their_keys() -> None:
    queries, keys = BOUND.ir.groups
    assert (queries.branch, keys.branch) == ("queries", "keys")
    assert queries.query_space == keys.query_space
    assert queries.query_space.size == 3
    assert (queries.key_space, keys.key_space) == (BOUND.ir.query_space, BOUND.ir.key_space)
    routes = queries.route, keys.route
    assert [each and (each.queries, each.keys, each.per) for each in routes] == [
        ("", "", ("query",)), ("", "b", ("head",)),
    ]  # fmt: skip


def test_bound_groups_are_printed_as_they_are_written() -> None:
    lines = bound_text(BOUND.ir).splitlines()
    assert lines[lines.index("    groups c of 3") :] == [
        "    groups c of 3",
        "    route queries score q / max(sqrt(q . q), 1e-12) . centroids[head, c]",
        "                  among (doc[q] + c) % 2 == 0",
        "                  select top(5) per c",
        "    route keys score mean(k in b) . centroids[head, c]",
        "               select ratio(0.5, 1) per head",
        "               prefer k.b == 0",
    ]


def test_other_head_counts_are_those_of_the_maps_too() -> None:
    other = BOUND.with_heads(6, 3).ir
    assert [(each.heads, each.kv_heads) for each in (other, *other.groups)] == [(6, 3)] * 3


def test_groups_are_part_of_what_graphs_and_caches_call_a_pattern() -> None:
    assert BOUND.key != PATTERN.bind(shape=20, heads=4, kv_heads=2, clusters=4).key


def test_what_groups_have_not() -> None:
    refused: list[tuple[type[AttnError], object]] = [
        (AttnUnsupportedError, lambda: refuse_rows(BOUND.ir)),
        (AttnUnsupportedError, lambda: on_branches(PATTERN.ir, lambda each: each)),
        (AttnScheduleError, lambda: optimize(BOUND.ir)),
    ]
    for kind, call in refused:
        assert callable(call)
        with pytest.raises(kind):
            call()


def test_flex_attention_knows_no_groups() -> None:
    torch = pytest.importorskip("torch")
    from attndsl.runtime import rivals

    q = torch.zeros(1, 4, 20, 8)
    with pytest.raises(AttnBackendError, match="A0729"):
        rivals.flex(BOUND.ir, q, q, q, {})
