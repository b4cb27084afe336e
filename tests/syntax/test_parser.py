"""The syntax tree of every construct, and that the layout of a file does not change it."""

from __future__ import annotations

import pytest

from attndsl.source import Source
from attndsl.syntax import ast
from attndsl.syntax.parser import parse

A, B, C = ast.Name("a"), ast.Name("b"), ast.Name("c")
ONE, TWO = ast.Number(1), ast.Number(2)


def expression(text: str) -> ast.Expr:
    """The tree of one expression."""
    (function,) = parse(Source("my.attn", f"def f():\n    return {text}\n")).definitions
    assert isinstance(function, ast.Function)
    return function.result


def pattern(text: str) -> ast.Pattern:
    """The tree of a file with one pattern."""
    (only,) = parse(Source("my.attn", text)).definitions
    assert isinstance(only, ast.Pattern)
    return only


def clause(text: str) -> ast.Clause:
    """The tree of one clause; further lines of it are indented below."""
    body = "\n".join("    " + line for line in text.split("\n"))
    (only,) = pattern(f"pattern p:\n{body}\n").clauses
    return only


def compare(left: ast.Expr, operator: str, right: ast.Expr) -> ast.Compare:
    return ast.Compare((operator,), (left, right))


def binary(left: ast.Expr, operator: str, right: ast.Expr) -> ast.Binary:
    return ast.Binary(operator, left, right)


def everywhere(body: ast.Expr, kind: str = "all") -> ast.Quantified:
    return ast.Quantified(kind, "x", body)


EXPRESSIONS = {
    "12": ast.Number(12),
    "2_048": ast.Number(2048),
    "0.5": ast.Number(0.5),
    "1e-3": ast.Number(0.001),
    "9223372036854775807": ast.Number(2**63 - 1),
    "true": ast.Boolean(True),
    "false": ast.Boolean(False),
    "a": A,
    "q.frame": ast.Field("q", "frame"),
    "k.index": ast.Field("k", "index"),
    "q": ast.Name("q"),
    "alpha[a]": ast.Subscript("alpha", (A,)),
    "alpha[a, b]": ast.Subscript("alpha", (A, B)),
    "f()": ast.Call("f", ()),
    "f(a, n = b)": ast.Call("f", (ast.Argument(None, A), ast.Argument("n", B))),
    "f(a,)": ast.Call("f", (ast.Argument(None, A),)),
    "a - b - c": binary(binary(A, "-", B), "-", C),
    "a - (b - c)": binary(A, "-", binary(B, "-", C)),
    "a + b * c": binary(A, "+", binary(B, "*", C)),
    "a // b % c": binary(binary(A, "//", B), "%", C),
    "a ** b ** c": binary(A, "**", binary(B, "**", C)),
    "-a ** b": ast.Unary("-", binary(A, "**", B)),
    "a ** -b": binary(A, "**", ast.Unary("-", B)),
    "-a * b": binary(ast.Unary("-", A), "*", B),
    "--a": ast.Unary("-", ast.Unary("-", A)),
    "a < b": compare(A, "<", B),
    "1 <= a < b": ast.Compare(("<=", "<"), (ONE, A, B)),
    "(a < b) < c": compare(compare(A, "<", B), "<", C),
    "a and b or c": binary(binary(A, "and", B), "or", C),
    "a or b and c": binary(A, "or", binary(B, "and", C)),
    "not a == b": ast.Unary("not", compare(A, "==", B)),
    "not a and b": binary(ast.Unary("not", A), "and", B),
    "a if b else c": ast.IfElse(B, A, C),
    "a if b else 1 if c else 2": ast.IfElse(B, A, ast.IfElse(C, ONE, TWO)),
    "a or b if c else 1": ast.IfElse(C, binary(A, "or", B), ONE),
    "all axis x: a and b": everywhere(binary(A, "and", B)),
    "all axis x: a if b else c": everywhere(ast.IfElse(B, A, C)),
    "a and all axis x: b or c": binary(A, "and", everywhere(binary(B, "or", C))),
    "(all axis x: a) and b": binary(everywhere(A), "and", B),
    "not any axis x: a": ast.Unary("not", everywhere(A, "any")),
    "1 if all axis x: a else 2": ast.IfElse(everywhere(A), ONE, TWO),
    "f(all axis x: a, b)": ast.Call("f", (ast.Argument(None, everywhere(A)), ast.Argument(None, B))),
    "score + step * block": binary(ast.Name("score"), "+", binary(ast.Name("step"), "*", ast.Name("block"))),
    "per if of else by": ast.IfElse(ast.Name("of"), ast.Name("per"), ast.Name("by")),
    "orange and notice": binary(ast.Name("orange"), "and", ast.Name("notice")),
}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression(text: str) -> None:
    assert expression(text) == EXPRESSIONS[text]


def test_integers_and_reals_differ() -> None:
    assert expression("1") != expression("1.0")


ROUTE = """route score mean(k in b) . q
      among k.b < q.b
      select top(2) per query, head
      always true"""
CLAUSES = {
    "space tokens(n)": ast.Space("both", (ast.SpaceSegment("tokens", ("n",)),)),
    "space tokens(axes...)": ast.Space("both", (ast.SpaceSegment("tokens", ("axes",), variadic=True),)),
    "space video(t, h) ++ text(n)": ast.Space(
        "both", (ast.SpaceSegment("video", ("t", "h")), ast.SpaceSegment("text", ("n",)))
    ),
    "query space a(n)": ast.Space("query", (ast.SpaceSegment("a", ("n",)),)),
    "key space a(n)": ast.Space("key", (ast.SpaceSegment("a", ("n",)),)),
    "let end = a": ast.Let("end", A),
    "let score = a": ast.Let("score", A),
    'require a, "say \\"a\\" \\\\ \\n"': ast.Require(A, 'say "a" \\ \n'),
    "input doc: int[tokens]": ast.Input("doc", ast.Type("int", ("tokens",))),
    "input g: gate[query, head, 3]": ast.Input("g", ast.Type("gate", ("query", "head", 3))),
    "input x: real": ast.Input("x", ast.Type("real")),
    "attend a": ast.Attend((ast.Arm(None, None, A),)),
    "attend\n    a": ast.Attend((ast.Arm(None, None, A),)),
    "attend\n    else: a": ast.Attend((ast.Arm(None, None, A),)),
    "attend\n    x -> y: a\n    else:   b": ast.Attend((ast.Arm("x", "y", A), ast.Arm(None, None, B))),
    "score a": ast.Score(A),
    "weight a": ast.Weight(A),
    "gate a": ast.Gate(A),
    "decay a per step of n": ast.Decay(A, "n"),
    "normalize none": ast.Normalize("none"),
    "blocks b of n by 2": ast.Blocks("b", ("n",), (TWO,)),
    "blocks b of (n, m) by (2, a)": ast.Blocks("b", ("n", "m"), (TWO, A)),
    "groups c of 2": ast.Groups("c", TWO),
    "route keys score a": ast.Route((ast.RouteStep("score", A),), "keys"),
    "route among a": ast.Route((ast.RouteStep("among", A),)),
    "route prefer a": ast.Route((ast.RouteStep("prefer", A),)),
    "route select a per all": ast.Route((ast.RouteStep("select", A, ("all",)),)),
    ROUTE: ast.Route(
        (
            ast.RouteStep(
                "score",
                binary(
                    ast.Call("mean", (ast.Argument(None, binary(ast.Name("k"), "in", B)),)),
                    ".",
                    ast.Name("q"),
                ),
            ),
            ast.RouteStep("among", compare(ast.Field("k", "b"), "<", ast.Field("q", "b"))),
            ast.RouteStep("select", ast.Call("top", (ast.Argument(None, TWO),)), ("query", "head")),
            ast.RouteStep("always", ast.Boolean(True)),
        )
    ),
    "branch near:\n    attend a\n    gate b": ast.Branch(
        "near", (ast.Attend((ast.Arm(None, None, A),)), ast.Gate(B))
    ),
    "combine a": ast.Combine(A),
}


@pytest.mark.parametrize("text", CLAUSES)
def test_a_clause(text: str) -> None:
    assert clause(text) == CLAUSES[text]


def test_definitions() -> None:
    text = '''"""File."""

def f(x, y: int, z = 1):
    """Function."""
    let w = x
    require w, "m"
    return w

pattern p(a: int[axes] = 1, b: bool,):
    """Pattern."""
    attend f
'''
    integer = ast.Type("int")
    function = ast.Function(
        "f",
        (ast.Parameter("x", None, None), ast.Parameter("y", integer, None), ast.Parameter("z", None, ONE)),
        "Function.",
        (ast.Let("w", ast.Name("x")), ast.Require(ast.Name("w"), "m")),
        ast.Name("w"),
    )
    parameters = (
        ast.Parameter("a", ast.Type("int", ("axes",)), ONE),
        ast.Parameter("b", ast.Type("bool"), None),
    )
    attend = ast.Attend((ast.Arm(None, None, ast.Name("f")),))
    tree = ast.File("File.", (function, ast.Pattern("p", parameters, "Pattern.", (attend,))))
    assert parse(Source("my.attn", text)) == tree


def test_an_empty_file_has_no_definitions() -> None:
    for text in ("", "\n\n", "# nothing\n", "  \n", "\ufeff"):
        assert parse(Source("my.attn", text)) == ast.File("", ())


def test_several_blocks_end_at_once() -> None:
    text = "pattern p:\n  branch b:\n      attend\n          true\ndef f():\n return 1\n"
    first, second = parse(Source("my.attn", text)).definitions
    assert (first.name, second.name) == ("p", "f")


def test_a_pattern_without_parameters_needs_no_parentheses() -> None:
    assert pattern("pattern p:\n    attend true") == pattern("pattern p():\n    attend true")


PLAIN = "pattern p(a: int):\n    space tokens(n)\n    attend f(a, b)\n"
LAYOUTS = {
    "no line break at the end": PLAIN.rstrip(),
    "carriage returns": PLAIN.replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + PLAIN,
    "blank lines": PLAIN.replace("\n", "\n\n   \n"),
    "blanks at the end": PLAIN + "\n      ",
    "comments": "# c\n" + PLAIN.replace("\n", "  # c\n") + "# c",
    "comments at any indentation": PLAIN.replace("\n", "\n         # c\n  # c\n#c\n"),
    "other indentation": PLAIN.replace("    ", " "),
    "line breaks in brackets": PLAIN.replace("f(a, b)", "f(\na,\n              # c\n  b\n)"),
    "tabs between tokens": PLAIN.replace("attend f(a, b)", "attend\tf(a,\tb)\t"),
    "line breaks in parameters": PLAIN.replace("(a: int)", "(\n        a: int,\n)"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_layout_does_not_change_the_tree(name: str) -> None:
    assert pattern(LAYOUTS[name]) == pattern(PLAIN)


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        ('"""One line."""', "One line."),
        ('"""  One line.  """', "One line."),
        ('"""First.\n\n       Odd.\n         More.\n    """', "First.\n\nOdd.\n  More."),
        ('"""\n  First.\n      Second.\n"""', "First.\n    Second."),
        ('"""Blank at the end.   \n    """', "Blank at the end."),
        ('"""A # no comment, a \\ and a "quote" in it."""', 'A # no comment, a \\ and a "quote" in it.'),
        ('""""""', ""),
    ],
)
def test_a_docstring_loses_its_indentation(literal: str, text: str) -> None:
    assert pattern(f"pattern p:\n    {literal}\n    attend true\n").documentation == text
