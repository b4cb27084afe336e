"""No text and no numbers, however odd, give anything but a pattern or an AttnError, and quickly."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import attndsl
from attndsl.diagnostics import AttnError

WORDS = [
    "q.n", "k.n", "q.index", "k.index", "q.a", "k.a", "a", "n", "head", "heads", "kv_head", "rank",
    "true", "false", "width", "alpha[head]", "size[a]", "size[0]", "extent(n)", "extent(a)", "causal",
    "sliding", "sliding(3)", "neighborhood(3)", "doc[q]", "doc[k]", "q", "k", "s", "0", "1", "2", "7",
    "0.5", "1e300", "9223372036854775807", "4611686018427387904", "+", "-", "*", "/", "//", "%", "**",
    "<", "<=", "==", "!=", "and", "or", "not", "if", "else", "(", ")", ",", "min(", "max(", "abs(",
    "bit_length(", "exp(", "log2(", "sqrt(", "floor(", "real(", "round(", "tanh(", "clamp(", "ceildiv(",
    "all axis a:", "any axis b:",
]  # fmt: skip
HEADER = "pattern p(width: int = 3, alpha: real[heads] = 0.5, size: int[axes] = 2):\n    space tokens(n)\n"
ODD_NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=3),
    st.lists(st.integers(-3, 5), max_size=4),
    st.sampled_from(
        [np.nan, np.inf, np.zeros(3), np.array("x"), 2**63, 10**400, 1 + 2j, [[1]], {}, object()]
    ),
)


def outcome(text: str, **numbers: Any) -> object:
    """The mask, or the error that says why there is none."""
    try:
        return attndsl.parse(text).bind(**numbers).mask(doc=np.arange(5))
    except AttnError as error:
        return error


@settings(max_examples=600, deadline=20_000)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map(" ".join))
@example("10 ** 10 ** 10 == q.n")
@example("2 ** (q.n * 4611686018427387904) < 3")
@example("real(q.n) ** 1e300 < 1 / (k.n - 2)")
@example("exp(exp(exp(q.n))) < 3")
@example("q.n % (0.0 * k.n) < 3")
def test_any_expression(expression: str) -> None:
    outcome(f"{HEADER}    input doc: int[tokens]\n    attend {expression}\n", shape=5, heads=2)


@settings(max_examples=300, deadline=20_000)
@given(ODD_NUMBERS, ODD_NUMBERS, ODD_NUMBERS, ODD_NUMBERS)
def test_any_numbers(shape: object, heads: object, width: object, size: object) -> None:
    text = f"{HEADER}    attend q.n // max(width, 1) < size[0] and alpha[head] < 2\n"
    bound = outcome(text, shape=8, heads=heads if heads is not None else 2, width=width, size=size)
    assert isinstance(bound, AttnError | np.ndarray) or bound is None
    if not (isinstance(shape, int) and shape > 2000):
        outcome(text, shape=shape, heads=2)


DEEP = 120_000
HOSTILE = {
    "parentheses": "(" * DEEP,
    "balanced parentheses": "(" * 60_000 + "1" + ")" * 60_000,
    "minus": "-" * DEEP + "1 < q.n",
    "not": "not " * 40_000 + "true",
    "if": "true if true else " * 10_000 + "true",
    "sum": "+".join(["q.n"] * 50_000) + " < 3",
    "power": "**".join(["2"] * 50_000) + " < 3",
    "comparison": " < ".join(["q.n"] * 40_000),
    "subscript": "size[" * 40_000,
    "calls": "max(" * 40_000,
    "quantifiers": "all axis a: " * 15_000 + "true",
    "digits": "9" * 200_000 + " < 3",
    "exponent": "1e" + "9" * 100_000 + " < q.n",
    "nul": "\0" * DEEP,
    "unicode": "\U0001f600é\u202e" * 20_000,
    "string": '"' * DEEP,
    "names": "x" * DEEP,
    "many arguments": "max(" + ",".join(["q.n"] * 40_000) + ") < 3",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_expressions_end_quickly(name: str) -> None:
    start = time.perf_counter()
    result = outcome(f"{HEADER}    attend {HOSTILE[name]}\n", shape=5, heads=2)
    assert isinstance(result, AttnError | np.ndarray)
    assert time.perf_counter() - start < 20


def test_lets_and_functions_that_double_do_not_explode() -> None:
    lets = "".join(f"    let x{i + 1} = x{i} + x{i}\n" for i in range(60))
    outcome(f"pattern p:\n    space tokens(n)\n    let x0 = q.n\n{lets}    attend x60 < k.n\n", shape=5)
    functions = "def f0(x):\n    return x + 1\n\n"
    functions += "".join(f"def f{i + 1}(x):\n    return f{i}(f{i}(x))\n\n" for i in range(60))
    text = f"{functions}pattern p:\n    space tokens(n)\n    attend f60(q.n) < 9\n"
    assert isinstance(outcome(text, shape=5), AttnError)
