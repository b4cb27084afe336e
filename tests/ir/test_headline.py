"""What patterns, schedules and reports look like in a notebook: a line or a report, never their trees."""

from __future__ import annotations

import attndsl
from attndsl.ir.headline import box

GNA = attndsl.pattern("gna")


def test_a_pattern_shows_its_signature() -> None:
    expected = (
        "gna(window: int[axes], stride: int[axes] = 1, dilation: int[axes] = 1, causal: bool[axes] = false)"
    )
    assert repr(GNA) == f"Pattern({expected})"


def test_a_traced_pattern_does_too() -> None:
    @attndsl.jit
    def near(q: attndsl.Position, k: attndsl.Position, w: int = 3) -> attndsl.Traced:
        return abs(q.n - k.n) <= w

    assert repr(near) == "Pattern(near(w: int = 3))"


def test_a_bound_pattern_shows_its_sizes() -> None:
    bound = GNA.bind(shape=(4, 8), window=3)
    assert repr(bound) == "Bound(gna_w3x3, 4 x 8 tokens, any number of heads)"
    grouped = attndsl.pattern("causal").bind(shape=8, heads=4, kv_heads=2)
    assert repr(grouped) == "Bound(causal, 8 tokens, 4 heads, 2 of keys and values)"


def test_keys_of_another_space_are_named() -> None:
    across = "pattern across:\n    query space tokens(n)\n    key space image(y, x)\n    attend true\n"
    bound = attndsl.parse(across).bind(shape=8, key_shape=(2, 4), heads=1)
    assert repr(bound) == "Bound(across, 8 tokens, keys 2 x 4, 1 head)"


def test_a_schedule_counts_its_tiles() -> None:
    schedule = GNA.bind(shape=(8, 8), window=3).schedule((4, 4), (4, 4))
    tiles = "q tile 4 x 4, kv tile 4 x 4, 16 of 16 pairs of tiles visited, 0 full"
    assert repr(schedule) == f"Schedule(gna_w3x3, {tiles})"


def test_reports_and_explanations_show_their_text() -> None:
    bound = attndsl.pattern("sliding_window").bind(shape=64, left=8)
    for shown in (bound.simulate(), bound.explain()):
        assert repr(shown) == str(shown)
    assert "work" in str(bound.explain())


def test_an_explanation_of_branches_has_a_section_for_each() -> None:
    bound = attndsl.pattern("sla").bind(shape=64, bq=16, bk=16)
    assert all(f"branch {name}" in str(bound.explain()) for name in bound.branches)


def test_steps_of_tiles_are_named_where_tokens_are_no_neighbours() -> None:
    assert (box((2, 3), (1, 1)), box((2, 3), (1, 4))) == ("2 x 3", "2 x 3 (every 1 x 4)")
