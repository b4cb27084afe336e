"""Each mistake about tensors gives one error with a code, its cause and its fix."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import attndsl
from attndsl.diagnostics import AttnCallError
from attndsl.runtime.reference import reference

IR = attndsl.pattern("sliding_window").bind(shape=10, heads=4, kv_heads=2, left=3).ir
DOCUMENT = attndsl.pattern("document").bind(shape=10, heads=1).ir


def call(**changes: Any) -> object:
    """Call with good tensors, some of them replaced."""
    given: dict[str, Any] = {
        "q": torch.zeros(2, 4, 10, 8),
        "k": torch.zeros(2, 2, 10, 8),
        "v": torch.zeros(2, 2, 10, 8),
    }
    return reference(IR, **{**given, **changes})


def document(**changes: Any) -> object:
    tensor = torch.zeros(2, 1, 10, 8)
    return reference(DOCUMENT, tensor, tensor, tensor, **changes)


def test_good_tensors_pass() -> None:
    call()
    document(doc=torch.zeros(10, dtype=torch.int32))
    document(doc=[0] * 10)


@pytest.mark.parametrize(
    ("code", "words", "changes"),
    [
        ("A0601", "k must be a torch tensor, list given", {"k": [1.0]}),
        ("A0602", "q must be [batch, heads, tokens, head_dim], its shape is (9,)", {"q": torch.zeros(9)}),
        ("A0603", "q has batch size 2 and v has 1", {"v": torch.zeros(1, 2, 10, 8)}),
        ("A0604", "q has 3 heads, the pattern is bound to 4", {"q": torch.zeros(2, 3, 10, 8)}),
        ("A0604", "k has 4 heads, the pattern is bound to 2", {"k": torch.zeros(2, 4, 10, 8)}),
        ("A0605", "q has 11 tokens, the pattern is bound to 10", {"q": torch.zeros(2, 4, 11, 8)}),
        ("A0605", "v has 9 tokens, the pattern is bound to 10", {"v": torch.zeros(2, 2, 9, 8)}),
        ("A0606", "q has head_dim 8 and k has 6", {"k": torch.zeros(2, 2, 10, 6)}),
        ("A0606", "v has head_dim 0", {"v": torch.zeros(2, 2, 10, 0)}),
        ("A0607", "q is float32 and k is float16", {"k": torch.zeros(2, 2, 10, 8).half()}),
        ("A0608", "q is int64, which attention is not computed in", {"q": torch.zeros(2, 4, 10, 8).long()}),
        ("A0609", "q is on cpu and v is on meta", {"v": torch.zeros(2, 2, 10, 8, device="meta")}),
        ("A0627", "q has no dense data", {"q": torch.zeros(2, 4, 10, 8).to_sparse()}),
        ("A0627", "on meta", {"q": torch.zeros(2, 4, 10, 8, device="meta")}),
        ("A0610", "has no input `doc`", {"doc": torch.zeros(10)}),
        ("A0613", "scale must be a finite number, 'x' given", {"scale": "x"}),
        ("A0613", "scale must be a finite number, inf given", {"scale": float("inf")}),
    ],
)  # fmt: skip
def test_a_mistake_is_named(code: str, words: str, changes: dict[str, Any]) -> None:
    with pytest.raises(AttnCallError) as caught:
        call(**changes)
    assert caught.value.code == code
    assert words in caught.value.message
    assert caught.value.help


@pytest.mark.parametrize(
    ("code", "words", "changes"),
    [
        ("A0611", "needs the input `doc`", {}),
        ("A0612", "must be (10,) or (2, 10), (3, 10) given", {"doc": torch.zeros(3, 10, dtype=torch.int64)}),
        ("A0614", "holds int values, float32 given", {"doc": torch.zeros(10)}),
        ("A0626", "an array of numbers, str given", {"doc": "ten"}),
        ("A0626", "an array of numbers, list given", {"doc": [[1], [2, 3]]}),
        ("A0626", "without dense data given", {"doc": torch.zeros(10, device="meta")}),
        ("A0614", "holds int values, bool given", {"doc": torch.zeros(10, dtype=torch.bool)}),
    ],
)
def test_a_mistake_about_inputs_is_named(code: str, words: str, changes: dict[str, Any]) -> None:
    with pytest.raises(AttnCallError) as caught:
        document(**changes)
    assert caught.value.code == code
    assert words in caught.value.message
