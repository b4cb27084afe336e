"""Branches, blocks and derived tensors: an `Attention` has the IR of the text's clauses, and its mistakes."""

from __future__ import annotations

from typing import Literal

import pytest

import attndsl
from attndsl import Attention, AttnError, Input, Position, Traced, lang
from tests.trace.python_functions import knows_places, pattern

TEXT = """
pattern compressed(size: int):
    space tokens(n)
    input g: real[query, heads]
    input w: real[dim, dim]
    input b: real[dim]
    blocks block of n by size
    branch far:
        key mean(k in block)
        value mean(v in block)
        attend (k.block + 1) * size <= q.n + 1 and (k.block + 1) * size > 4
    branch near:
        attend sliding(5)
    combine sigmoid(g) * project(far, w, b) + 0.5 * joint(near, far) + identity
"""


@attndsl.jit
def compressed(
    q: Position,
    k: Position,
    size: int,
    g: Input[float, Literal["query, heads"]],
    w: Input[float, Literal["dim, dim"]],
    b: Input[float, Literal["dim"]],
) -> Attention:
    end = (k["block"] + 1) * size

    def combined(far: Traced, near: Traced) -> Traced:
        return lang.sigmoid(g) * lang.project(far, w, b) + 0.5 * lang.joint(near, far) + lang.own_value

    return Attention(
        blocks={"block": ("n", size)},
        branches={
            "far": Attention((end <= q.n + 1) & (end > 4), key="mean(k in block)", value="mean(v in block)"),
            "near": lang.sliding(5),
        },
        combine=combined,
    )


def test_python_and_text_have_equal_ir() -> None:
    assert compressed.ir == attndsl.parse(TEXT).ir
    assert attndsl.parse(compressed.to_attn()).ir == compressed.ir


def test_blocks_may_cut_several_axes() -> None:
    boxes = attndsl.jit(
        lambda q, k: Attention(blocks={"b": (("y", "x"), (2, 3))}, query="max(q in b)"),
        space="image(y, x)",
        name="boxes",
    )
    text = "pattern boxes:\n    space image(y, x)\n    blocks b of (y, x) by (2, 3)\n"
    assert boxes.ir == attndsl.parse(f"{text}    query max(q in b)\n    attend true\n").ir


@knows_places
@pytest.mark.parametrize(
    ("result", "code"),
    {
        "Attention(blocks={'b': 4})": "A1003",
        "Attention(key=3)": "A1003",
        "Attention(key='space tokens(n)')": "A1003",
        "Attention(key='mean(k in')": "A0101",
        "Attention(branches=[k.n <= q.n])": "A1003",
        "Attention(branches={'near': k.n <= q.n}, combine=lambda far: far)": "A1003",
        "Attention(branches={'near': k.n <= q.n}, combine=3)": "A1003",
        "Attention(branches={'near': k.n <= q.n})": "A0235",
        "Attention(k.n <= q.n, branches={'near': k.n < 4}, combine=lambda near: near)": "A0236",
    }.items(),
)
def test_mistakes_have_a_place_in_the_function(result: str, code: str) -> None:
    with pytest.raises(AttnError) as caught:
        pattern(result)
    assert caught.value.span is not None
    assert "Attention(" in caught.value.render()
    assert caught.value.code == code or (code == "A0101" and caught.value.code.startswith("A01"))
