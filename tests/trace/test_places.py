"""Errors of later stages point into the Python file, and `explain` quotes it."""

from __future__ import annotations

import pytest

import attndsl
from attndsl.simulate.blame import blame
from tests.trace.python_functions import knows_places, pattern, run

pytestmark = knows_places

STRIDED = """def strided(query, key, stride):
    require(stride >= 1, "stride must be at least 1")
    return (query - key) % stride == 0

@attndsl.jit
def p(q, k, *, stride: int = 4):
    end = q.n // stride
    return strided(q.n, k.n, stride) & (k.n <= q.n)
"""


def span_of(error: attndsl.AttnError) -> tuple[str, str]:
    """The place and the text of an error."""
    assert error.span is not None
    return str(error.span), error.span.text


def test_a_requirement_of_the_prelude_blames_the_argument() -> None:
    with pytest.raises(attndsl.AttnBindError) as caught:
        pattern("sliding(left, right=1 - left)", ", left: int").bind(shape=8, left=4)
    assert span_of(caught.value) == ("my.py:8:32", "1 - left")


def test_a_requirement_of_the_file_blames_its_line() -> None:
    with pytest.raises(attndsl.AttnBindError, match="stride must be at least 1") as caught:
        run(STRIDED)["p"].bind(shape=8, stride=0)
    assert span_of(caught.value) == ("my.py:7:5", 'require(stride >= 1, "stride must be at least 1")')
    assert "`stride >= 1` holds" in caught.value.help


def test_arithmetic_without_a_value_is_found_in_the_function_that_it_stands_in() -> None:
    with pytest.raises(attndsl.AttnBindError) as caught:
        pattern("q.n // (q.n - 3) == k.n").bind(shape=8)
    assert span_of(caught.value) == ("my.py:8:12", "q.n // (q.n - 3)")


def test_a_missing_parameter_is_found_in_the_signature() -> None:
    with pytest.raises(attndsl.AttnBindError) as caught:
        pattern("q.n - left <= k.n", ", left: int").bind(shape=8)
    assert span_of(caught.value) == ("my.py:7:13", "left: int")


def test_an_error_names_the_use_of_a_variable_and_not_its_assignment() -> None:
    with pytest.raises(attndsl.AttnTypeError) as caught:
        run("@attndsl.jit\ndef p(q, k):\n    seen = q.n < k.n\n    return seen + 1 < 3\n")
    assert span_of(caught.value) == ("my.py:9:12", "seen")


def test_columns_count_characters_and_not_bytes() -> None:
    with pytest.raises(attndsl.AttnTypeError) as caught:
        pattern("('äöü' == 'x') | (q.n + True < 3)")
    assert span_of(caught.value) == ("my.py:8:36", "True")


def test_an_expression_over_several_lines_points_at_its_part() -> None:
    with pytest.raises(attndsl.AttnTypeError) as caught:
        pattern("(\n        (q.n < 3)\n        & k.n\n    )")
    assert span_of(caught.value) == ("my.py:10:11", "k.n")


def test_the_caret_stands_in_a_helper_of_another_file() -> None:
    helper = run("def near(q, k):\n    return q.n - k.n + (q.n < 3) < 3\n", "helper.py")["near"]
    namespace = run("def with_helper(near):\n    return attndsl.jit(lambda q, k: near(q, k))\n")
    with pytest.raises(attndsl.AttnTypeError) as caught:
        namespace["with_helper"](helper)
    assert span_of(caught.value) == ("helper.py:7:25", "q.n < 3")


def test_explain_quotes_the_condition_that_makes_tiles_partial() -> None:
    bound = pattern("(q.n - 5 <= k.n) & (k.n <= q.n)").bind(shape=64)
    found = blame(bound.schedule(8, 8))
    assert {each.text: str(each.place) for each in found} == {
        "q.n - 5 <= k.n": "my.py:8:13",
        "k.n <= q.n": "my.py:8:32",
    }
