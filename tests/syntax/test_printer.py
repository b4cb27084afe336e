"""The canonical text of syntax trees: what it looks like, and that it has no parentheses too many."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from attndsl.source import Source
from attndsl.syntax import ast
from attndsl.syntax.parser import parse
from attndsl.syntax.printer import to_text

CANONICAL = '''"""Two definitions."""

def near(query, key, reach: int = 1):
    """Within reach.

    On one axis.
    """
    let distance = abs(query - key)
    require reach >= 0, "reach must be 0 or \\"more\\""
    return distance <= reach

pattern all_clauses(window: int[axes] = 1, alpha: real[heads] = 0.5):
    query space video(t, h) ++ text(n)
    key space tokens(axes...)
    let end = window[t] - 1
    input doc: int[tokens]
    attend
        video -> video: near(q.t, k.t, reach = end)
        else: true
    score s - alpha[head]
    weight exp(s)
    gate sigmoid(g)
    decay exp(-alpha[head]) per step of n
    normalize none
    blocks b of n by 64
    route score mean(k in b) . q
          among k.b < q.b
          select top(2) per query, head
          always k.b == q.b
    branch near:
        attend true
    combine near'''

EXPRESSIONS = [
    "a - b - c",
    "a - (b - c)",
    "(a + b) * c",
    "a * b + c",
    "a * (b * c)",
    "-a ** b",
    "(-a) ** b",
    "a ** b ** c",
    "(a ** b) ** c",
    "a ** -b",
    "-(a + b)",
    "-a * b",
    "a - -b",
    "(a < b) == c",
    "a < b + c <= d",
    "a and b or c",
    "a and (b or c)",
    "a and (b and c)",
    "not a and b",
    "not (a and b)",
    "not a < b",
    "(not a) == b",
    "a if b else c if d else e",
    "(a if b else c) if d else e",
    "a if (b if c else d) else e",
    "(a if b else c) + d",
    "all axis x: a and b",
    "(all axis x: a) and b",
    "a and all axis x: b",
    "a or not all axis x: b or c",
    "a and (all axis x: b) or c",
    "(all axis x: a) if b else c",
    "a if all axis x: b else c",
    "a if b else all axis x: c",
    "1 + (all axis x: a)",
    "f(all axis x: a, n = all axis x: b)",
    "x[(all axis y: a) and b, c]",
    "2 ** 0.5 * 1e-07",
]


def parsed(expression: str) -> ast.Expr:
    (function,) = parse(Source("my.attn", f"def f():\n    return {expression}\n")).definitions
    assert isinstance(function, ast.Function)
    return function.result


def test_the_text_of_a_file() -> None:
    assert to_text(parse(Source("my.attn", CANONICAL))) == CANONICAL


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_keeps_the_parentheses_that_it_needs(text: str) -> None:
    assert to_text(parsed(text)) == text


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_loses_the_parentheses_that_it_does_not_need(text: str) -> None:
    assert to_text(parsed(f"(({text}))")) == text


@pytest.mark.parametrize(
    "node",
    [
        ast.Type("int", ("axes", 3)),
        ast.Parameter("x", None, ast.Number(1)),
        ast.SpaceSegment("video", ("t", "h")),
        ast.Arm("a", "b", ast.Boolean(True)),
        ast.Argument("left", ast.Number(2)),
        ast.RouteStep("select", ast.Name("a"), ("query",)),
    ],
    ids=to_text,
)
def test_every_part_of_a_tree_has_a_text(node: ast.Node) -> None:
    assert to_text(node) in {
        "int[axes, 3]",
        "x = 1",
        "video(t, h)",
        "a -> b: true",
        "left = 2",
        "select a per query",
    }


@pytest.mark.parametrize(
    "documentation",
    [
        "One.",
        "First.\n\nMore.",
        "First.\n    All the rest indented.",
        'It ends with "quotes"',
        "  odd\nplain",
    ],
)
def test_a_docstring_is_read_back(documentation: str) -> None:
    tree = ast.File(documentation, ())
    assert parse(Source("my.attn", to_text(tree))) == tree


def test_triple_quotes_cannot_end_a_docstring() -> None:
    assert to_text(ast.File('say """hello""" twice', ())) == "\"\"\"say '''hello''' twice\"\"\""


def test_a_negative_number_is_a_sign_and_a_number() -> None:
    square = ast.Binary("**", ast.Number(-2), ast.Number(2))
    assert to_text(square) == "(-2) ** 2"


FOLDERS = (files("attndsl.patterns"), Path(__file__).parent)
TEXTS = {
    file.name: file.read_text(encoding="utf-8")
    for folder in FOLDERS
    for file in folder.iterdir()
    if file.name.endswith(".attn")
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_printed_file_is_read_back(name: str) -> None:
    tree = parse(Source(name, TEXTS[name]))
    assert parse(Source(name, to_text(tree))) == tree
