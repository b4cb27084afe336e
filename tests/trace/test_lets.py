"""What `to_attn` prints: variables as lets, shared values once, quantifiers with free letters."""

from __future__ import annotations

import pytest

import attndsl
from tests.trace.python_functions import knows_places, pattern, run


def body(text: str) -> list[str]:
    """The clauses of the pattern that a function prints, checked to mean the same."""
    python = run(text)["p"]
    assert attndsl.parse(python.to_attn()).ir == python.ir
    return [line.strip() for line in python.to_attn().splitlines()[2:]]


def test_variables_are_lets_of_the_same_name() -> None:
    lines = body("@attndsl.jit\ndef p(q, k):\n    row = q.n // 4\n    return row == k.n // 4\n")
    assert lines == ["let row = q.n // 4", "attend row == k.n // 4"]


@knows_places
def test_values_of_a_tuple_that_are_used_twice_keep_their_names() -> None:
    text = "@attndsl.jit\ndef p(q, k):\n    row, column = q.n // 4, k.n // 4\n"
    lines = body(text + "    return (row == column) | (row == 0)\n")
    assert lines == ["let row = q.n // 4", "attend row == k.n // 4 or row == 0"]


def test_a_value_that_is_used_twice_is_a_let() -> None:
    lines = body(
        "def twice(x):\n    return x + x\n@attndsl.jit\ndef p(q, k):\n    return twice(q.n // 4) < k.n\n"
    )
    assert lines == ["let value = q.n // 4", "attend value + value < k.n"]


def test_names_that_mean_something_else_are_not_taken() -> None:
    text = "@attndsl.jit\ndef p(q, k, *, width: int):\n    s = q.n + width\n    def inner(x):\n"
    lines = body(text + "        width = x * 2\n        return width < s\n    return inner(k.n)\n")
    assert lines == ["let s2 = q.n + width", "let width2 = k.n * 2", "attend width2 < s2"]


def test_a_name_that_the_language_does_not_allow_is_replaced() -> None:
    lines = body("@attndsl.jit\ndef p(q, k):\n    größe = q.n // 4\n    return größe == k.n\n")
    assert lines == ["let value = q.n // 4", "attend value == k.n"]


def test_what_depends_on_an_axis_stays_inside_its_quantifier() -> None:
    text = "def near(a, q, k):\n    gap = abs(q[a] - k[a])\n    return (gap < 3) | (gap == 5)\n"
    lines = body(text + "@attndsl.jit\ndef p(q, k):\n    return all_axes(lambda a: near(a, q, k))\n")
    assert lines == ["attend all axis a: abs(q.a - k.a) < 3 or abs(q.a - k.a) == 5"]


def test_letters_of_axes_avoid_other_names() -> None:
    text = "@attndsl.jit(space='grid(b, c)')\ndef p(q, k, *, a: int):\n"
    assert body(text + "    return all_axes(lambda i: q[i] < a)\n") == ["attend all axis d: q.d < a"]


def test_a_requirement_inside_a_quantifier_holds_for_every_axis() -> None:
    text = "def near(w):\n    require(w > 0, 'positive')\n    return w < 9\n"
    text += "@attndsl.jit\ndef p(q, k, *, w: PerAxis[int]):\n    return all_axes(lambda a: near(w[a]))\n"
    assert body(text) == ['require all axis a: w[a] > 0, "positive"', "attend all axis a: w[a] < 9"]


def test_messages_keep_their_quotes_and_lines() -> None:
    text = "@attndsl.jit\ndef p(q, k, *, w: int):\n    require(w > 0, 'a \"b\" \\\\ c\\nd')\n"
    python = run(text + "    return k.n < w\n")["p"]
    assert python.ir.requirements[0].message == 'a "b" \\ c\nd'
    assert attndsl.parse(python.to_attn()).ir == python.ir


def test_a_requirement_of_constants_is_decided_in_python() -> None:
    text = "@attndsl.jit\ndef p(q, k):\n    require({} > 0, 'positive')\n    return causal()\n"
    assert run(text.format(1))["p"].ir.requirements == ()
    with pytest.raises(attndsl.AttnBindError, match="positive"):
        run(text.format(0))["p"].bind(shape=4)


def test_sharing_does_not_grow_exponentially() -> None:
    text = "@attndsl.jit\ndef p(q, k):\n    x = q.n\n    for _ in range(40):\n        x = x + x\n"
    assert len(body(text + "    return x < k.n\n")) == 41
    inside = (
        "def grow(x):\n    for _ in range(60):\n        x = x + x\n    return x\n@attndsl.jit\ndef p(q, k):\n"
    )
    with pytest.raises(attndsl.AttnTypeError, match="A0308"):
        run(inside + "    return all_axes(lambda a: grow(q[a]) < 3)\n")


def test_many_conditions_are_joined_in_pairs() -> None:
    python = pattern("any_of(k.n // 64 == block for block in range(0, 3000, 3))")
    assert python.ir.arms[0].visible.depth < 20
    assert python.bind(shape=256).mask().sum() == 256 * 128
