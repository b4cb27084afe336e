"""How printed Python is laid out."""

from __future__ import annotations

from attndsl.codegen.triton_layout import WIDTH, broken, commented, recommented

LONG = "x" * 60


def test_short_lines_stay() -> None:
    assert list(broken("a = tl.dot(b, c)")) == ["a = tl.dot(b, c)"]


def test_a_long_call_has_one_line_per_argument() -> None:
    text = f"a = tl.load({LONG} + tl.cast(q, tl.int64), mask={LONG}[:, None], other=0.0)"
    assert list(broken(text)) == [
        "a = tl.load(",
        f"    {LONG} + tl.cast(q, tl.int64),",
        f"    mask={LONG}[:, None],",
        "    other=0.0,",
        ")",
    ]


def test_calls_inside_calls_are_broken_too() -> None:
    text = f"a = tl.where(b, tl.dot({LONG}, {LONG}), c)"
    assert list(broken(text)) == [
        "a = tl.where(",
        "    b,",
        "    tl.dot(",
        f"        {LONG},",
        f"        {LONG},",
        "    ),",
        "    c,",
        ")",
    ]


def test_a_long_sum_has_one_line_per_term() -> None:
    assert list(broken(f"a = f({LONG}) + g({LONG})")) == ["a = (", f"    f({LONG})", f"    + g({LONG})", ")"]
    assert list(broken(f"a = f(b + c, {LONG} + {LONG})")) == [
        "a = f(",
        "    b + c,",
        f"    {LONG}",
        f"    + {LONG},",
        ")",
    ]


def test_comments_stand_beside_short_lines_and_above_long_ones() -> None:
    assert list(commented("a = 1", "one")) == ["a = 1  # one"]
    assert list(commented(f"a = {LONG}", "b" * (WIDTH - 30))) == [f"# {'b' * (WIDTH - 30)}", f"a = {LONG}"]
    assert list(recommented([f"a = {LONG}  # {LONG}"])) == [f"# {LONG}", f"a = {LONG}"]
