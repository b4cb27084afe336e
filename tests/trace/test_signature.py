"""Parameters, inputs, spaces and constants: what a function's signature and surroundings mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl import Input, Position, Traced, lang
from tests.trace.python_functions import attn, pattern, run


def test_annotations_are_the_types_of_parameters() -> None:
    python = pattern(
        "(q.n < a) & (b > 0.5) & c & (q.n < d[1]) & (e[head] < 1) & lang.all_axes(lambda i: q[i] < f[i])",
        ", a: int, b: float, c: bool, d: tuple[int, int], e: PerHead[float], f: PerAxis[int]",
    )
    condition = "q.n < a and b > 0.5 and c and q.n < d[1] and e[head] < 1 and (all axis i: q.i < f[i])"
    parameters = "a: int, b: real, c: bool, d: int[2], e: real[heads], f: int[axes]"
    assert python.ir == attn(condition, parameters).ir


def test_a_default_without_annotation_gives_the_type() -> None:
    python = pattern("(q.n - left <= k.n) & (k.n < q.n * scale) | off", ", *, left=4, scale=0.5, off=False")
    condition = "q.n - left <= k.n and k.n < q.n * scale or off"
    assert python.ir == attn(condition, "left: int = 4, scale: real = 0.5, off: bool = false").ir


def test_defaults_may_speak_of_extents() -> None:
    python = pattern("k.n < span", ", span: int = lang.extent('n') // 2")
    assert python.ir == attn("k.n < span", "span: int = extent(n) // 2").ir
    assert python.bind(shape=8).mask().sum() == 8 * 4


def test_a_default_of_the_wrong_type_is_found() -> None:
    with pytest.raises(attndsl.AttnTypeError, match="A0320"):
        pattern("k.n < span", ", span: int = 0.5")


def test_positions_may_have_any_name_and_any_kind_of_parameter_may_follow() -> None:
    text = "@attndsl.jit\ndef p(query, key, /, left: int, *, right: int):\n"
    python = run(text + "    return (query.n - left <= key.n) & (key.n <= query.n + right)\n")["p"]
    assert python.ir == attn("q.n - left <= k.n and k.n <= q.n + right", "left: int, right: int").ir


def test_inputs_are_declared_by_annotation() -> None:
    python = pattern("doc[q] == doc[k]", ", doc: Input[int]")
    assert python.ir == attn("doc[q] == doc[k]", clauses="    input doc: int[tokens]\n").ir
    sided = pattern("a[q] < b[k]", ", a: Input[float, 'query'], b: Input[float, 'key']")
    clauses = "    input a: real[query]\n    input b: real[key]\n"
    assert sided.ir == attn("a[q] < b[k]", clauses=clauses).ir


def test_annotations_may_be_texts_that_speak_of_local_names() -> None:
    from attndsl import PerAxis as Each

    @attndsl.jit(space="tokens(axes...)")
    def p(q: Position, k: Position, *, window: Each[int], doc: Input[int]) -> Traced:
        return lang.neighborhood(window) & (doc[q] == doc[k])

    assert [each.name for each in p.ir.parameters] == ["window"]
    assert [each.name for each in p.ir.inputs] == ["doc"]


def test_globals_and_closures_are_constants_when_the_function_is_traced() -> None:
    def banded(width: int) -> Any:
        @attndsl.jit
        def band(q: Position, k: Position) -> Traced:
            return abs(q.n - k.n) <= width

        return band

    assert (
        banded(2).ir == attndsl.parse("pattern band:\n    space tokens(n)\n    attend abs(q.n - k.n) <= 2").ir
    )
    assert banded(3).ir != banded(2).ir


def test_the_one_axis_of_an_undeclared_space_is_named_by_use() -> None:
    assert pattern("k.word <= q.word").ir == attn("k.word <= q.word", space="tokens(word)").ir
    assert pattern("k.index <= q.index").ir == attn("k.index <= q.index").ir
    assert pattern("causal() & (q.index < extent('m'))").ir.query_space[0].axes == ("m",)


def test_spaces_are_spelled_as_in_a_text() -> None:
    space = "video(t, h, w) ++ text(n)"
    arms = "{'video -> video': q.t == k.t, 'else': True}"
    python = pattern(arms, decorator=f'@attndsl.jit(space="{space}")')
    text = (
        f"pattern p:\n    space {space}\n    attend\n        video -> video: q.t == k.t\n        else: true\n"
    )
    assert python.ir == attndsl.parse(text).ir


def test_queries_and_keys_may_have_spaces_of_their_own() -> None:
    python = pattern("q.f <= k.c", decorator='@attndsl.jit(query_space="frames(f)", key_space="context(c)")')
    text = "pattern p:\n    query space frames(f)\n    key space context(c)\n    attend q.f <= k.c\n"
    assert python.ir == attndsl.parse(text).ir


def test_the_else_arm_may_stand_anywhere() -> None:
    decorator = '@attndsl.jit(space="video(t) ++ text(n)")'
    python = pattern("{'else': True, 'video->video': q.t == k.t}", decorator=decorator)
    assert attndsl.parse(python.to_attn()).ir == python.ir
    assert python.bind(shape=2, text=1).mask().astype(int).tolist() == [[[1, 0, 1], [0, 1, 1], [1, 1, 1]]]


def test_a_traced_pattern_behaves_as_any_pattern() -> None:
    window = pattern("(q.n - left <= k.n) & (k.n <= q.n)", ", *, left: int")
    assert isinstance(window, attndsl.Pattern)
    assert (window.name, window.documentation) == ("p", "")
    bound = window.bind(shape=32, left=4)
    library = attndsl.pattern("sliding_window").bind(shape=32, left=4)
    assert bound.name == "p_l4"
    assert (bound.mask() == library.mask()).all()
    assert (bound.schedule(8, 8).to_mask() == library.mask()).all()
    assert bound.simulate(device="h100").density == library.simulate(device="h100").density


def test_the_docstring_is_the_patterns_documentation() -> None:
    text = '@attndsl.jit\ndef p(q, k):\n    """The first.\n\n    The rest: a \\\\ and "quotes".\n    """\n'
    python = run(text + "    return causal()\n")["p"]
    assert python.documentation == 'The first.\n\nThe rest: a \\ and "quotes".'
    assert python.__doc__.startswith("The first.")
    assert attndsl.parse(python.to_attn()).documentation == python.documentation


def test_a_name_may_be_given() -> None:
    assert attndsl.jit(lambda q, k: k.n <= q.n, name="past").name == "past"
    assert attndsl.jit(lambda q, k: k.n <= q.n).name == "unnamed"


def test_inputs_of_a_traced_mask_are_given_at_the_call() -> None:
    bound = pattern("doc[q] == doc[k]", ", doc: Input[int]").bind(shape=4)
    assert bound.mask(doc=np.array([0, 0, 1, 1])).sum() == 8
