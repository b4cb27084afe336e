"""Resolution: what the text means as pattern IR, and that spelling does not matter."""

from __future__ import annotations

import pytest

import attndsl
from attndsl.ir.pattern_text import pattern_text


def resolved(body: str, parameters: str = "") -> attndsl.Pattern:
    pattern = attndsl.parse(f"pattern p({parameters}):\n    space tokens(n)\n{body}\n")
    assert isinstance(pattern, attndsl.Pattern)
    return pattern


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("    attend 0 <= q.n < 5", "    attend 0 <= q.n and q.n < 5"),
        ("    let a = 5\n    attend q.n < a", "    attend q.n < 5"),
        ("    let b = a\n    let a = 5\n    attend q.n < b", "    attend q.n < 5"),
        ("    attend sliding(3)", "    attend sliding(right = 0, left = 3)"),
        ("    attend causal", "    attend causal()"),
        ("    attend clamp(q.n, 1, 4) == 2", "    attend min(max(q.n, 1), 4) == 2"),
        ("    attend max(q.n, k.n, 3) == 2", "    attend max(max(q.n, k.n), 3) == 2"),
        ("    attend all axis a: q.a == k.a", "    attend all axis other: q.other == k.other"),
    ],
)
def test_spellings_of_one_meaning(one: str, other: str) -> None:
    assert resolved(one).ir == resolved(other).ir


def test_documentation_and_places_are_not_part_of_the_meaning() -> None:
    assert resolved("    attend q.n < 5").ir == resolved("    # a comment\n\n    attend (q.n < 5)").ir


def test_a_file_may_replace_functions_of_the_prelude() -> None:
    text = "def causal():\n    return true\n\npattern p:\n    space tokens(n)\n    attend causal\n"
    pattern = attndsl.parse(text)
    assert isinstance(pattern, attndsl.Pattern)
    assert pattern.bind(shape=3).mask().all()


def test_several_patterns_make_a_namespace() -> None:
    text = "pattern one:\n    space t(n)\n    attend true\n\npattern two:\n    space t(n)\n    attend false\n"
    both = attndsl.parse(text)
    assert both.one.bind(shape=2).mask().all()
    assert not both.two.bind(shape=2).mask().any()


def test_pattern_text_reads_like_the_language() -> None:
    pattern = resolved(
        "    attend q.n - k.n < window if not wide else true", "window: int = 4, wide: bool = false"
    )
    assert pattern_text(pattern.ir) == (
        "pattern p(window: int = 4, wide: bool = false):\n"
        "    space tokens(n)\n"
        "    attend q.n - k.n < window if not wide else true"
    )


@pytest.mark.parametrize(
    "condition",
    [
        "q.n - (k.n - 1) < 2",
        "q.n - k.n - 1 < 2",
        "(q.n + 1) * 2 ** 3 ** 1 == -(-k.n)",
        "not (q.n < 1 or k.n < 2) and q.n == 3",
        "(q.n < 1) == (k.n < 2)",
        "(1 if q.n < 3 else 2) == (k.n if k.n < 3 else 4 if q.n < 2 else 5)",
        "-q.n ** 2 < (-k.n) ** 2",
        "q.n // 2 % 3 == q.n // (2 % 3 + 1)",
        "all axis a: q.a == k.a or (any axis b: q.b < k.a)",
    ],
)
def test_the_text_of_an_expression_reads_back_as_the_same_expression(condition: str) -> None:
    pattern = resolved(f"    attend {condition}")
    again = attndsl.parse(pattern_text(pattern.ir) + "\n")
    assert isinstance(again, attndsl.Pattern)
    assert again.ir == pattern.ir
