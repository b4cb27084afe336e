"""Stubs: what a type checker learns of a `.attn` module, for patterns of every kind."""

from __future__ import annotations

import ast
import inspect

import pytest

from attndsl import library
from attndsl.importer.checked import check
from attndsl.importer.stubs import stub
from attndsl.source import Source
from tests.importer.texts import LOCAL, TWO


def stub_of(text: str) -> str:
    return stub(check(Source("my.attn", text)), "my.attn")


def bind_of(text: str) -> list[str]:
    """The parameters of the first pattern's `bind`, as the stub declares them."""
    lines = stub_of(text).split("self,\n")[1].split("    ) ->")[0].splitlines()
    return [line.strip().removesuffix(",") for line in lines]


def test_the_stub_of_a_file() -> None:
    assert stub_of(LOCAL) == (
        '''# Written by `attndsl stubs` from my.attn; edit that instead.
"""Patterns of a test."""

from collections.abc import Sequence as _Sequence
from typing import Any as _Any

from attndsl.importer.arrays import Array as _Array
from attndsl.pipeline import Bound as _Bound
from attndsl.pipeline import Pattern as _Pattern

__all__ = ["local"]

class _local_pattern(_Pattern):
    """Every query sees a window around itself."""

    def bind(  # type: ignore[override]
        self,
        shape: int | _Sequence[int],
        heads: int | None = ...,
        kv_heads: int | None = ...,
        *,
        window: int | _Sequence[int] | _Array,
        stride: int | _Sequence[int] | _Array = 1,
    ) -> _Bound: ...

local: _local_pattern
'''
    )


def test_parameters_of_every_type() -> None:
    assert bind_of("""
pattern p(a: int, b: real = 0.5, c: bool = true, d: real[heads] = 1, e: int[3] = 2, f: int = extent(n)):
    space tokens(n)
    attend k.n < a
""")[3:] == [
        "*",
        "a: int",
        "b: float = 0.5",
        "c: bool = True",
        "d: float | _Sequence[float] | _Array = 1",
        "e: int | _Sequence[int] | _Array = 2",
        "f: int = ...",
    ]


def test_heads_must_be_given_where_the_mask_depends_on_them() -> None:
    text = "pattern p:\n    space tokens(n)\n    attend k.n % heads == head\n"
    assert bind_of(text)[1] == "heads: int"


def test_spaces_of_several_axes_and_segments() -> None:
    assert bind_of("""
pattern p:
    space video(t, h, w) ++ text(n) ++ grid(y, x)
    attend true
""") == [
        "shape: _Sequence[int]",
        "heads: int | None = ...",
        "kv_heads: int | None = ...",
        "*",
        "text: int | _Sequence[int] = ...",
        "grid: _Sequence[int] = ...",
    ]


def test_a_key_space_of_its_own_must_have_a_shape() -> None:
    assert bind_of("""
pattern p:
    query space frames(f)
    key space context(c)
    attend k.c <= q.f
""")[3:] == ["*", "key_shape: int | _Sequence[int]"]


def test_names_that_python_cannot_spell() -> None:
    text = TWO.replace("past", "class").replace("future:", "future(from: int, self: int, left: int):")
    result = stub_of(text)
    ast.parse(result)
    assert '__all__ = ["future"]' in result
    assert "def __getattr__(name: str) -> _Pattern: ..." in result
    assert "        left: int,\n        **others: _Any,\n" in result


@pytest.mark.parametrize("text", ['says "so" ', "a \\ backslash", "two\n\n    lines", 'two\n    lines "so" '])
def test_docstrings_are_quoted(text: str) -> None:
    module = ast.parse(stub_of(LOCAL.replace("Every query sees a window around itself.", text)))
    (pattern,) = [each for each in module.body if isinstance(each, ast.ClassDef)]
    assert (ast.get_docstring(pattern) or "").rstrip() == inspect.cleandoc(text).rstrip()


@pytest.mark.parametrize("name", library.names())
def test_stubs_of_the_library_are_python(name: str) -> None:
    ast.parse(stub(check(library.source(name)), f"{name}.attn"))
