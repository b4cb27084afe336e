"""Where each node of the syntax tree stands: its span is exactly its text."""

from __future__ import annotations

from attndsl.source import Source
from attndsl.syntax import ast
from attndsl.syntax.parser import parse
from tests.syntax.walk import nodes

EVERYTHING = '''"""File."""

def f(x, y: int = (1)):
    """Function."""
    let w = (x + y) * -x
    require 0 <= w < 9, "small"
    return (w if x else f(y, z = alpha[x]))

pattern p(a: int[axes] = 1):
    query space video(t, h) ++ text(axes...)
    input doc: int[tokens]
    attend
        video -> text: not (q.t == k.t)
        else: (all axis x: q.x)
    decay (0.5) per step of t
    blocks b of n by (2)
    route score mean(k in b) . q
          select top(2) per query, head
    branch near:
        gate (true)
    combine near

# The end.
'''


def test_a_span_is_the_text_of_its_node() -> None:
    texts = [node.span.text for node in nodes(parse(Source("my.attn", EVERYTHING))) if node.span]
    assert texts[0] == EVERYTHING
    assert texts[1].startswith("def f(x")
    assert texts[1].endswith("alpha[x]))")
    for text in (
        "x",
        "y: int = (1)",
        "let w = (x + y) * -x",
        "(x + y) * -x",
        "x + y",
        "-x",
        'require 0 <= w < 9, "small"',
        "0 <= w < 9",
        "w if x else f(y, z = alpha[x])",
        "z = alpha[x]",
        "a: int[axes] = 1",
        "int[axes]",
        "query space video(t, h) ++ text(axes...)",
        "text(axes...)",
        "input doc: int[tokens]",
        "video -> text: not (q.t == k.t)",
        "not (q.t == k.t)",
        "q.t == k.t",
        "else: (all axis x: q.x)",
        "all axis x: q.x",
        "decay (0.5) per step of t",
        "0.5",
        "blocks b of n by (2)",
        "mean(k in b) . q",
        "k in b",
        "select top(2) per query, head",
        "combine near",
    ):
        assert text in texts
    blocks = {text.split()[0]: text for text in texts if "\n" in text and text != EVERYTHING}
    assert blocks["attend"].endswith("else: (all axis x: q.x)")
    assert blocks["route"].endswith("per query, head")
    assert blocks["branch"].endswith("gate (true)")
    assert blocks["pattern"].endswith("combine near")


def test_every_node_has_a_span_inside_its_parents() -> None:
    for node in nodes(parse(Source("my.attn", EVERYTHING))):
        for part in nodes(node):
            assert node.span is not None
            assert part.span is not None
            assert node.span.start <= part.span.start < part.span.end <= node.span.end


def test_a_name_in_a_continued_line_has_its_line_and_column() -> None:
    tree = parse(Source("my.attn", "pattern p:\n    attend f(\n        a +\n b)\n"))
    (span,) = [node.span for node in nodes(tree) if node == ast.Name("b")]
    assert span is not None
    assert (span.line, span.column, span.text) == (4, 2, "b")
