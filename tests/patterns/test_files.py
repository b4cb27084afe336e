"""The library's files: one pattern each, named as the file, with its source; all definitions described."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

import attndsl
from attndsl.source import Source
from attndsl.syntax import ast
from attndsl.syntax.parser import parse


def text_of(name: str) -> str:
    return files("attndsl.patterns").joinpath(f"{name}.attn").read_text(encoding="utf-8")


def definitions(name: str) -> tuple[ast.Pattern | ast.Function, ...]:
    return parse(Source(f"{name}.attn", text_of(name))).definitions


@pytest.mark.parametrize("name", attndsl.patterns())
def test_a_file_holds_one_pattern_of_its_name(name: str) -> None:
    assert [each.name for each in definitions(name) if isinstance(each, ast.Pattern)] == [name]


@pytest.mark.parametrize("name", attndsl.patterns())
def test_a_pattern_names_paper_year_and_number(name: str) -> None:
    assert re.search(r"20\d\d,\s+arXiv:\d{4}\.\d{5}", attndsl.pattern(name).documentation)


@pytest.mark.parametrize("name", [*attndsl.patterns(), "prelude"])
def test_lines_fit_and_every_definition_is_described(name: str) -> None:
    assert [line for line in text_of(name).splitlines() if len(line) > 110] == []
    assert text_of(name).startswith('"""')
    assert [each.name for each in definitions(name) if not each.documentation] == []


def test_the_prelude_holds_functions_only() -> None:
    assert all(isinstance(each, ast.Function) for each in definitions("prelude"))
