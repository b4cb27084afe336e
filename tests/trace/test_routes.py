"""Routes of Python functions: values, mistakes, and where they stand. `test_twins.py` has the library's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

import attndsl
from attndsl import Attention, AttnError, Input, Position, Route, lang
from tests.trace.python_functions import knows_places, pattern

BLOCKS = "blocks={'b': ('n', 4)}"


def routed(score: str = "lang.mean(k, within='b') @ q", rest: str = "lang.top(2), 'query'") -> str:
    return f"Attention({BLOCKS}, route=attndsl.Route({score}, {rest}))"


TEXTS = {
    "lang.mean(k, within='b') @ q": "mean(k in b) . q",
    "q @ lang.mean(k, within='b')": "q . mean(k in b)",
    "lang.mean(q, within='b') @ lang.mean(k) + lang.mean(q, within='b') @ lang.max(k, within='b')":
        "mean(q in b) . mean(k) + mean(q in b) . max(k in b)",
    "lang.min(lang.scale * q @ k, within=k.b)": "min(scale * q . k in k.b)",
    "lang.sum(lang.softmax(q @ k, k.n <= q.n), within='heads')": "sum(softmax(q . k, k.n <= q.n) in heads)",
    "lang.mean(q @ k, within=q.n >= 3) + 0.0 * k.n": "mean(q . k in q.n >= 3) + 0.0 * k.n",
    "lang.similarity(k, within='b')": "similarity(k in b)",
}  # fmt: skip


@pytest.mark.parametrize("python", TEXTS)
def test_scores_have_the_ir_of_their_texts(python: str) -> None:
    found = pattern(routed(python, "lang.drop(0.5), per='head'"))
    text = f"    route score {TEXTS[python]}\n          select drop(0.5) per head\n    attend true\n"
    wanted = attndsl.parse(f"pattern {found.name}:\n    space tokens(n)\n    blocks b of n by 4\n{text}")
    assert found.ir == wanted.ir
    assert attndsl.parse(found.to_attn()).ir == wanted.ir


def test_what_has_a_name_in_python_is_written_where_it_is_used() -> None:
    @attndsl.jit
    def kept(q: Position, k: Position, *, g: Input[float, Literal["key"]]) -> Attention:
        product = q @ k
        scores = product + g[k]
        distance = q.n - k.n
        return Attention(route=Route(scores, lang.top(4), ["query"], among=distance < 9, prefer=distance < 2))

    assert (
        kept.to_attn()
        == """pattern kept:
    space tokens(n)
    input g: real[key]
    let distance = q.n - k.n
    attend true
    route score q . k + g[k]
          among distance < 9
          select top(4) per query
          prefer distance < 2
"""
    )


def test_a_traced_route_runs() -> None:
    torch = pytest.importorskip("torch")
    python = pattern(routed()).bind(shape=32, heads=2)
    q, k = (torch.randn(1, 2, 32, 8) for _ in range(2))
    assert python.plan(q, k).counts.eq(2).all()


MISTAKES = {
    "route": ("Attention(route=lang.top(4))", "A1003"),
    "select": (routed(rest="4, 'query'"), "A1003"),
    "rule": (routed(rest="lang.mean(k, within='b'), 'query'"), "A0240"),
    "per": (routed(rest="lang.top(2), 3"), "A1003"),
    "pool": (routed(rest="lang.top(2), 'row'"), "A0241"),
    "within": (routed("lang.mean(k, within='k.b') @ q"), "A1004"),
    "blocks": (routed("lang.mean(k, within='c') @ q"), "A0232"),
    "mask": ("lang.mean(k, within='b') > 0.0", "A0375"),
}


@knows_places
@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name: str, golden: Callable[[str, str], None]) -> None:
    result, code = MISTAKES[name]
    with pytest.raises(AttnError) as caught:
        pattern(result)
    assert caught.value.span is not None
    assert caught.value.code == code
    golden(f"errors/traced_route_{name}.txt", caught.value.render() + "\n")
