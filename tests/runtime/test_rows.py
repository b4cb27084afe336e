"""The last rows of a pattern equal the rows of the whole pattern, for every length, padding and pattern."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor

import attndsl
from attndsl.diagnostics import AttnBindError, AttnError
from attndsl.passes.open_length import grows
from attndsl.pipeline import Bound
from attndsl.runtime import build, split
from tests.patterns.cases import CASES
from tests.runtime.attention_cases import Tensors, needs_compiler, tensors
from tests.runtime.gradient_cases import gradients

pytestmark = needs_compiler

INPUTS = ("doc",)
ONE_AXIS = [name for name in CASES if grows(attndsl.pattern(name).ir)]
MOA: dict[str, Any] = {
    "heads": 4, "kv_heads": 2, "alpha": [1.0, 20.0, 0.0, 50.0], "beta": [0.1, 0.2, 0.5, 0.0],
    "block": 8, "sink": 8, "minimum": 16,
}  # fmt: skip


def one_axis_case(name: str) -> dict[str, Any]:
    """Numbers for one axis, from the cases of the library."""
    return next(
        case
        for case in (CASES[name](Random(f"{name} {seed}")) for seed in range(100))
        if isinstance(case["shape"], int) or len(case["shape"]) == 1
    )


def last(given: Tensors, count: int) -> Tensors:
    q, k, v = given
    return q[:, :, -count:], k, v


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_rows_of_a_bound_pattern(name: str) -> None:
    count = 2
    case = one_axis_case(name) if name in ONE_AXIS else CASES[name](Random(name))
    numbers = {key: value for key, value in case.items() if key not in INPUTS}
    inputs: dict[str, Any] = {key: torch.as_tensor(case[key]) for key in INPUTS if key in case}
    bound = attndsl.pattern(name).bind(**numbers)
    given = tensors(bound.ir, batch=2, dtype=torch.float64)  # for which nothing is compiled
    wanted = bound.reference(*given, **inputs)[:, :, -count:]
    close(bound.rows(*last(given, count), **inputs), wanted)


@pytest.mark.parametrize("name", ONE_AXIS)
def test_rows_at_any_length(name: str) -> None:
    case = one_axis_case(name)
    inputs: dict[str, Any] = {key: torch.as_tensor(case[key]) for key in INPUTS if key in case}
    numbers = {key: value for key, value in case.items() if key not in INPUTS}
    bound = attndsl.pattern(name).bind(**numbers)
    given = tensors(bound.ir, batch=2, dtype=torch.float64)  # for which nothing is compiled
    del numbers["shape"]
    rows = attndsl.pattern(name).at_any_length(**numbers).rows
    for count in (1, bound.ir.query_space.size):
        wanted = bound.reference(*given, **inputs)[:, :, -count:]
        close(rows(*last(given, count), **inputs), wanted)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [("alibi", {"heads": 4}), pytest.param("softcap", {"cap": 2.0}, marks=pytest.mark.slow)],
)
def test_rows_of_patterns_with_scores(name: str, numbers: dict[str, Any]) -> None:
    pattern = attndsl.pattern(name)
    bound = pattern.bind(shape=90, **numbers)
    given = tensors(pattern.bind(shape=90, **({"heads": 4} | numbers)).ir, batch=2)
    for count in (1, 3, 70):
        wanted = bound.reference(*given)[:, :, -count:]
        close(bound.rows(*last(given, count)), wanted)
        close(pattern.at_any_length(**numbers).rows(*last(given, count)), wanted)


@pytest.mark.parametrize(("name", "numbers"), [("streaming", {"sink": 4, "window": 9}), ("moa", MOA)])
def test_rows_follow_the_length_without_new_kernels(
    name: str, numbers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = attndsl.pattern(name)
    attend = pattern.at_any_length(**numbers)
    given = tensors(
        pattern.bind(shape=127, **(MOA | numbers if name == "moa" else {"heads": 4} | numbers)).ir
    )
    attend.rows(*last(_first(given, 65), 1))
    monkeypatch.setattr(build, "_build_once", _refuse)
    for length in (66, 100, 127):
        part = _first(given, length)
        bound = pattern.bind(shape=length, **numbers)
        close(attend.rows(*last(part, 1)), bound.reference(*part)[:, :, -1:])


def _first(given: Tensors, length: int) -> Tensors:
    q, k, v = (each[:, :, :length] for each in given)
    return q, k, v


def _refuse(*_: Any) -> None:
    raise AssertionError("a kernel was compiled")


@pytest.mark.parametrize("keys", [1, 63, 64, 65, 700])
def test_ranges_of_keys_are_merged_exactly(keys: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "MOST_RUNS", 2)  # both ways to read runs of ranges
    for pattern in (attndsl.pattern("full"), attndsl.pattern("dilated_window")):
        numbers = {"left": 3, "dilation": 130} if pattern.name == "dilated_window" else {}
        bound = pattern.bind(shape=keys, heads=4, kv_heads=2, **numbers)
        given = tensors(bound.ir, batch=2)
        out, lse = bound.rows(*last(given, 1), return_lse=True)
        wanted, wanted_lse = bound.reference(*given, return_lse=True)
        close(out, wanted[:, :, -1:])
        close(lse, wanted_lse[:, :, -1:])


def test_ranges_that_no_query_sees_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    attend = split.Split._attend

    def watched(self: split.Split, q: Tensor, k: Tensor, *more: Any) -> Any:
        read.append(len(k))
        return attend(self, q, k, *more)

    monkeypatch.setattr(split.Split, "_attend", watched)
    monkeypatch.setattr(split.Split, "_size_of_ranges", lambda self, k: 64)  # else threads decide
    rows = attndsl.pattern("streaming").at_any_length(sink=4, window=70).rows
    q, k, v = (torch.randn(1, 2, count, 16) for count in (5, 1000, 1000))
    rows(q, k, v)
    assert read == [1, 1, 1]  # the sinks, the window's first 30 keys, and the last 40


@pytest.mark.parametrize("name", ["streaming", "alibi"])
def test_few_rows_are_what_tiles_of_rows_give(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"streaming": {"sink": 4, "window": 9}}.get(name, {})
    rows = attndsl.pattern(name).at_any_length(heads=4, kv_heads=2, **numbers).rows
    q, k, v = (torch.randn(2, heads, count, 16) for heads, count in ((4, 2), (2, 90), (2, 90)))
    exists = torch.arange(90) >= torch.tensor([[0], [19]])
    in_torch = rows(q, k, v, return_lse=True, exists=exists)
    monkeypatch.setattr("attndsl.runtime.rows.FEWEST", 0)
    for few, tiled in zip(in_torch, rows(q, k, v, return_lse=True, exists=exists), strict=True):
        assert few.dtype == tiled.dtype
        close(few, tiled)


def test_a_long_cache_is_work_for_all_threads() -> None:
    divided = split.Split(attndsl.pattern("causal").bind(shape=8).ir, Bound)
    for heads, keys in ((1, 4096), (1, 100_000), (8, 100_000)):
        size = divided._size_of_ranges(torch.empty(heads, keys, 1))
        assert keys // size * heads >= torch.get_num_threads()


@pytest.mark.parametrize("count", [1, 5, 70])
@pytest.mark.parametrize(("name", "numbers"), [("streaming", {"sink": 4, "window": 9}), ("moa", MOA)])
def test_padding_changes_nothing(name: str, numbers: dict[str, Any], count: int) -> None:
    lengths, tokens = (80, 71), 90
    pattern = attndsl.pattern(name)
    heads = {"heads": 4, "kv_heads": 2} | numbers
    given = tensors(pattern.bind(shape=tokens, **heads).ir, batch=2)
    exists = torch.arange(tokens) >= tokens - torch.tensor(lengths)[:, None]
    found = pattern.at_any_length(**heads).rows(*last(given, count), exists=exists)
    for element, length in enumerate(lengths):
        q, k, v = (each[element : element + 1, :, -length:] for each in given)
        wanted = pattern.bind(shape=length, **heads).reference(q, k, v)
        close(found[element : element + 1], wanted[:, :, -count:])


def test_gradients_of_rows() -> None:
    bound = attndsl.pattern("moa").bind(shape=100, **MOA)
    given = tensors(bound.ir, batch=2)
    found = gradients(bound.rows, last(given, 3))

    def whole(q: Tensor, k: Tensor, v: Tensor, return_lse: bool) -> tuple[Tensor, ...]:
        queries = torch.cat([given[0][:, :, :-3], q], 2)
        return tuple(each[:, :, -3:] for each in bound.reference(queries, k, v, return_lse=return_lse))

    for mine, wanted in zip(found, gradients(whole, last(given, 3)), strict=True):
        close(mine, wanted)


def test_requirements_hold_at_every_length() -> None:
    rows = attndsl.pattern("longlora").at_any_length(heads=2).rows
    q, k, v = (torch.randn(1, 2, 9, 16) for _ in range(3))
    with pytest.raises(AttnBindError) as caught:
        rows(q[:, :, -1:], k, v)
    assert caught.value.code == "A0410"


def test_rows_inside_a_compiled_graph() -> None:
    rows = attndsl.pattern("streaming").at_any_length(sink=4, window=9).rows
    q, k, v = (torch.randn(2, 2, 50, 16) for _ in range(3))
    exists = torch.arange(50) >= torch.tensor([[0], [7]])

    def generate(q: Tensor, k: Tensor, v: Tensor) -> Any:
        return rows(q, k, v, exists=exists)

    compiled = torch.compile(generate, backend="eager", fullgraph=True)
    close(compiled(q[:, :, -1:], k, v), generate(q[:, :, -1:], k, v))


def mistaken_rows(q: int = 2, k: int = 20, **options: Any) -> Any:
    """Rows of a sliding window over 20 tokens, called with so many queries and keys."""
    bound = attndsl.pattern("sliding_window").bind(shape=20, left=3)
    rows = attndsl.pattern("sliding_window").at_any_length(left=3).rows if options else bound.rows
    keys = torch.zeros(2, 4, k, 8)
    return rows(torch.zeros(2, 4, q, 8), keys, keys, **options)


MISTAKES: dict[str, Callable[[], object]] = {
    "rows_more_queries_than_tokens": lambda: mistaken_rows(q=21),
    "rows_keys_of_another_shape": lambda: mistaken_rows(k=21),
    "rows_exists_of_another_shape": lambda: mistaken_rows(exists=torch.ones(2, 19, dtype=torch.bool)),
    "rows_of_two_axes": lambda: attndsl.pattern("window").at_any_length(window=3).rows,
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_in_rows(name: str, golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AttnError) as caught:
        MISTAKES[name]()
    golden(f"errors/{name}.txt", caught.value.render() + "\n")
