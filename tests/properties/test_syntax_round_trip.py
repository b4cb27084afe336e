"""`parse(to_text(tree)) == tree` for every tree; any text parses or raises AttnSyntaxError."""

from __future__ import annotations

import string

from hypothesis import example, given, settings
from hypothesis import strategies as st

from attndsl.diagnostics import AttnSyntaxError
from attndsl.source import Source
from attndsl.syntax import ast
from attndsl.syntax.parser import parse
from attndsl.syntax.printer import to_text
from tests.properties.strategies_syntax import TOKENS, expressions, files
from tests.syntax.walk import nodes


def outcome(text: str) -> ast.File | AttnSyntaxError:
    """The tree of a text, or its error, rendered once to see that this works too."""
    try:
        return parse(Source("random.attn", text))
    except AttnSyntaxError as error:
        return check_error(error)


def check_error(error: AttnSyntaxError) -> AttnSyntaxError:
    assert error.help
    assert error.render().startswith(f"error[{error.code}]")
    return error


@settings(max_examples=200, deadline=None)
@given(files)
def test_printing_and_parsing_a_file_gives_the_same_tree(tree: ast.File) -> None:
    assert parse(Source("printed.attn", to_text(tree))) == tree


@settings(max_examples=400, deadline=None)
@given(expressions)
def test_printing_and_parsing_an_expression_gives_the_same_tree(tree: ast.Expr) -> None:
    text = f"def f():\n    return {to_text(tree)}"
    (function,) = parse(Source("printed.attn", text)).definitions
    assert isinstance(function, ast.Function)
    assert function.result == tree


@settings(max_examples=200, deadline=None)
@given(expressions)
def test_the_span_of_an_expression_reads_as_that_expression(tree: ast.Expr) -> None:
    (function,) = parse(Source("printed.attn", f"def f():\n    return {to_text(tree)}")).definitions
    assert isinstance(function, ast.Function)
    for node in nodes(function.result):
        if isinstance(node, ast.Expr):
            assert node.span is not None
            (again,) = parse(Source("span.attn", f"def f():\n    return ({node.span.text})")).definitions
            assert isinstance(again, ast.Function)
            assert again.result == node


@settings(max_examples=400, deadline=None)
@given(st.lists(TOKENS, max_size=40).map(" ".join) | st.lists(TOKENS, max_size=40).map("".join))
@example('pattern p:\n    require x, "')
@example("pattern p:\n    attend f(k in b)")
@example("\ufeffpattern p:\r\n    attend true\r\n")
def test_token_soup_parses_or_is_a_syntax_error(text: str) -> None:
    outcome(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.text(string.printable, max_size=60))
def test_any_text_parses_or_is_a_syntax_error(text: str) -> None:
    outcome(text)


@settings(max_examples=200, deadline=None)
@given(files.map(to_text), st.data())
def test_a_damaged_file_parses_or_is_a_syntax_error(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 5)))
    outcome(text[:start] + data.draw(TOKENS | st.just("")) + text[end:])
