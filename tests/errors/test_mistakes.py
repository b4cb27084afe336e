"""Mistakes that users make, each with its whole rendered error as a golden file (tests/golden/errors)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import attndsl
from attndsl.diagnostics import AttnError

BODY = "    space tokens(n)\n    attend "

NAMES = {
    "unknown_name": "pattern p:\n" + BODY + "q.n < windw\n",
    "unknown_function": "pattern p:\n" + BODY + "slidng(3)\n",
    "unknown_axis": "pattern p:\n    space video(frame, token)\n    attend q.frme == k.frame\n",
    "unknown_axis_of_extent": "pattern p:\n" + BODY + "q.n < extent(m)\n",
    "unknown_segment": "pattern p:\n    space v(n) ++ text(m)\n    attend\n        v -> txt: true\n        else: true\n",
    "unknown_argument": "pattern p:\n" + BODY + "sliding(3, rihgt = 2)\n",
    "position_as_number": "pattern p:\n" + BODY + "q < 3\n",
    "input_without_token": "pattern p:\n    space tokens(n)\n    input doc: int[tokens]\n    attend doc == 1\n",
    "axis_variable_as_number": "pattern p:\n" + BODY + "all axis a: a == 0\n",
    "pattern_defined_twice": "pattern p:\n" + BODY + "true\npattern p:\n" + BODY + "true\n",
    "parameter_defined_twice": "pattern p(a: int, a: int):\n" + BODY + "true\n",
    "let_defined_twice": "pattern p:\n    space tokens(n)\n    let a = 1\n    let a = 2\n    attend q.n < a\n",
    "axis_defined_twice": "pattern p:\n    space video(n) ++ text(n)\n    attend true\n",
    "two_spaces": "pattern p:\n    space tokens(n)\n    space more(m)\n    attend true\n",
    "two_attends": "pattern p:\n    space tokens(n)\n    attend true\n    attend false\n",
    "no_space": "pattern p:\n    attend true\n",
    "no_attend": "pattern p:\n    space tokens(n)\n",
    "reserved_parameter": "pattern p(heads: int):\n" + BODY + "true\n",
    "reserved_axis": "pattern p:\n    space tokens(index)\n    attend true\n",
    "built_in_function": "def max(x):\n    return x\n\npattern p:\n" + BODY + "true\n",
    "cycle_of_lets": "pattern p:\n    space tokens(n)\n    let a = b + 1\n    let b = a\n    attend q.n < a\n",
    "recursive_function": "def f(x):\n    return f(x)\n\npattern p:\n" + BODY + "f(1) == 1\n",
    "missing_arm": "pattern p:\n    space v(n) ++ text(m)\n    attend\n        v -> v: true\n        v -> text: true\n",
    "arm_twice": "pattern p:\n    space v(n)\n    attend\n        v -> v: true\n        v -> v: false\n",
    "coordinate_of_other_segment": "pattern p:\n    space v(n) ++ text(m)\n    attend q.n <= k.n\n",
}

TYPES = {
    "number_as_mask": "pattern p:\n" + BODY + "q.n - k.n\n",
    "truth_value_in_sum": "pattern p:\n" + BODY + "q.n + (k.n < 3) < 4\n",
    "number_in_and": "pattern p:\n" + BODY + "q.n and k.n < 3\n",
    "number_as_condition": "pattern p:\n" + BODY + "true if q.n else false\n",
    "truth_value_compared_with_number": "pattern p:\n" + BODY + "q.n == (k.n < 3)\n",
    "vector_as_mask": "pattern p(window: int[axes]):\n" + BODY + "q.n < window\n",
    "vectors_of_two_shapes": "pattern p(a: int[axes], b: int[heads]):\n" + BODY + "all axis x: a + b < 3\n",
    "unknown_type": "pattern p(window: integer):\n" + BODY + "true\n",
    "impossible_shape": "pattern p(window: int[axes, heads]):\n" + BODY + "true\n",
    "too_large_when_written_out": "def f(x):\n    return x + x\n\ndef g(x):\n    return f(f(f(f(f(f(f(f(x))))))))\n\n"
    "pattern p:\n"
    + BODY
    + "g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(g(q.n"
    + ")" * 32
    + " < 3\n",
    "two_subscripts": "pattern p(alpha: int[heads]):\n" + BODY + "q.n < alpha[head, 0]\n",
    "subscript_of_scalar": "pattern p(window: int):\n" + BODY + "q.n < window[0]\n",
    "real_subscript": "pattern p(alpha: int[heads]):\n" + BODY + "q.n < alpha[0.5]\n",
    "input_at_wrong_place": "pattern p:\n    space tokens(n)\n    input doc: int[tokens]\n    attend doc[0] == 1\n",
    "input_of_other_side": "pattern p:\n    space tokens(n)\n    input doc: int[query]\n    attend doc[k] == 1\n",
    "wrong_number_of_built_in_arguments": "pattern p:\n" + BODY + "clamp(q.n, 1) < 3\n",
    "extent_of_number": "pattern p:\n" + BODY + "extent(3) < 3\n",
    "require_about_tokens": 'pattern p:\n    space tokens(n)\n    require q.n < 3, "no"\n    attend true\n',
    "too_many_arguments": "pattern p:\n" + BODY + "sliding(1, 2, 3)\n",
    "argument_twice": "pattern p:\n" + BODY + "sliding(1, left = 2)\n",
    "missing_argument": "pattern p:\n" + BODY + "sliding(right = 2)\n",
    "real_for_integer": "pattern p(a: int = 0.5):\n" + BODY + "q.n < a\n",
    "variadic_second_segment": "pattern p:\n    space v(n) ++ rest(axes...)\n    attend true\n",
}

LATER = {
    "score_clause": "pattern p:\n    space tokens(n)\n    attend true\n    score s * 2\n",
    "gate_clause": "pattern p:\n    space tokens(n)\n    attend true\n    gate 1.0\n",
    "decay_clause": "pattern p:\n    space tokens(n)\n    attend true\n    decay 0.5 per step of n\n",
    "input_over_heads": "pattern p:\n    space tokens(n)\n    input b: real[heads, key]\n    attend true\n",
}


@pytest.mark.parametrize("name", [*NAMES, *TYPES, *LATER])
def test_mistake_in_the_text(name: str, golden: Callable[[str, str], None]) -> None:
    text = {**NAMES, **TYPES, **LATER}[name]
    with pytest.raises(AttnError) as caught:
        attndsl.parse(text, name="my.attn")
    golden(f"errors/{name}.txt", caught.value.render() + "\n")


WINDOW = "pattern p(window: int[axes], stride: int[axes] = 1):\n    space video(t, h)\n    attend neighborhood(window, stride)\n"
LOCAL = "pattern p:\n    space tokens(n)\n    attend sliding(left = -1)\n"
PER_HEAD = "pattern p(alpha: int[heads]):\n" + BODY + "k.n < alpha[head + 1]\n"
CROSS = "pattern p:\n    query space frames(f)\n    key space context(c)\n    attend q.f <= k.c\n"
LATE_DEFAULT = "pattern p(a: int = b, b: int = 2):\n" + BODY + "q.n < a + b\n"
TEXT_QUANTIFIER = "pattern p:\n    space v(t, h) ++ text(n)\n    attend\n        v -> v: true\n        else: all axis a: q.a == k.a\n"

NUMBERS: dict[str, tuple[str, dict[str, object]]] = {
    "missing_parameter": (WINDOW, {"shape": (4, 4)}),
    "missing_shape": (WINDOW, {"window": 3}),
    "unknown_parameter": (WINDOW, {"shape": (4, 4), "windw": 3}),
    "wrong_kind_of_parameter": (WINDOW, {"shape": (4, 4), "window": 2.5}),
    "text_for_parameter": (WINDOW, {"shape": (4, 4), "window": "three"}),
    "wrong_number_of_elements": (WINDOW, {"shape": (4, 4), "window": (3, 3, 3)}),
    "wrong_rank_of_shape": (WINDOW, {"shape": (4, 4, 4), "window": 3}),
    "extent_of_zero": (WINDOW, {"shape": (4, 0), "window": 3}),
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
