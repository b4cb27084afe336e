"""Scores, weights, normalisers and gates: an `Attention` has the IR of the text's clauses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import attndsl
from tests.trace.python_functions import knows_places, pattern, run

CLAUSES = {
    "score=lambda s: s - lang.slope(head, heads) * (q.n - k.n)": (
        "    score s - slope(head, heads) * (q.n - k.n)\n"
    ),
    "score=lambda s: 2.0 * lang.tanh(s / 2.0)": "    score 2.0 * tanh(s / 2.0)\n",
    "score=lambda s: s + table[head, q]": (
        "    input table: real[heads, query]\n    score s + table[head, q]\n"
    ),
    "weight=lambda s: lang.sigmoid(s), normalize='none'": "    weight sigmoid(s)\n    normalize none\n",
    "sink=extra[head]": "    input extra: real[heads]\n    normalize sum + exp(extra[head])\n",
    "gate=lang.sigmoid(g)": "    input g: real[query, heads, dim]\n    gate sigmoid(g)\n",
}
INPUTS = {
    "table[head": ", table: Input[float, 'heads, query']",
    "extra": ", extra: Input[float, 'heads']",
    "sigmoid(g)": ", g: Input[float, 'query, heads, dim']",
}


@pytest.mark.parametrize("python", CLAUSES)
def test_python_and_text_have_equal_ir(python: str) -> None:
    parameters = "".join(text for use, text in INPUTS.items() if use in python)
    traced = pattern(f"Attention(attend=k.n <= q.n, {python})", parameters)
    text = f"pattern p:\n    space tokens(n)\n    attend k.n <= q.n\n{CLAUSES[python]}"
    assert traced.ir == attndsl.parse(text).ir
    assert attndsl.parse(traced.to_attn()).ir == traced.ir


def test_a_variable_that_depends_on_the_score_is_no_let() -> None:
    text = "def bent(s):\n    small = s / 8.0\n    return small + lang.tanh(small)\n"
    python = run(text + "@attndsl.jit\ndef p(q, k):\n    return Attention(score=bent)\n")["p"]
    assert python.to_attn().splitlines()[2:] == ["    attend true", "    score s / 8.0 + tanh(s / 8.0)"]


@knows_places
def test_a_score_is_found_where_it_is_written() -> None:
    with pytest.raises(attndsl.AttnTypeError) as caught:
        pattern("Attention(score=lambda s: s > 1)")
    assert str(caught.value.span) == "my.py:8:38"


def outcome(make: Callable[[], Any]) -> object:
    """The pattern IR, or the code of the error."""
    try:
        return make().ir
    except attndsl.AttnError as error:
        return error.code


def test_decay_means_what_it_means_in_a_text() -> None:
    text = "pattern p:\n    space tokens(n)\n    attend causal\n"
    text += "    decay exp(-slope(head, heads)) per step of n\n"
    decay = "{'n': lang.exp(-lang.slope(head, heads))}"
    traced = outcome(lambda: pattern(f"Attention(attend=causal(), decay={decay}, normalize='none')"))
    assert traced == outcome(lambda: attndsl.parse(text + "    normalize none\n"))
