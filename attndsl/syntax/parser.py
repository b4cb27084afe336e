"""Parser: from the text of a `.attn` file to its syntax tree, or to an error that names the mistake.

The first stage of the pipeline. The grammar is data (grammar/attention.lark); the parser is built from it
once per process, on first use.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from lark import Lark
from lark.exceptions import UnexpectedInput, VisitError

from attndsl.source import Source
from attndsl.syntax import ast
from attndsl.syntax.build_definitions import TreeBuilder
from attndsl.syntax.explain import explain
from attndsl.syntax.layout import Layout, LayoutError
from attndsl.syntax.whole_text import check_text, indentation_error


def parse(source: Source) -> ast.File:
    """The syntax tree of a source. Raises AttnSyntaxError for any text that is not a `.attn` file."""
    check_text(source)
    text = source.text.rstrip(" \t\r\n")
    try:
        return TreeBuilder(source).transform(lark_parser().parse(text))
    except VisitError as error:
        raise error.orig_exc from None
    except LayoutError as error:
        raise indentation_error(error, source) from None
    except UnexpectedInput as error:
        raise explain(error, source, text, lark_parser()) from None


@cache
def lark_parser() -> Lark:
    """The parser of grammar/attention.lark."""
    grammar = files("attndsl.grammar").joinpath("attention.lark").read_text(encoding="utf-8")
    return Lark(
        grammar,
        start="file",
        parser="lalr",
        lexer="contextual",
        postlex=Layout(),
        propagate_positions=True,
        maybe_placeholders=True,
    )
