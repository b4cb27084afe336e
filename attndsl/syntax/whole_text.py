"""Whole text: syntax errors that do not need the grammar, about size, NUL characters and indentation."""

from __future__ import annotations

import re

from attndsl.diagnostics import AttnSyntaxError
from attndsl.source import Source, Span
from attndsl.syntax.layout import LayoutError

LARGEST_SOURCE = 256 * 1024
"""The longest text that is parsed, in characters."""

_INDENTED_START = re.compile(r"\ufeff?(?:[ \t]*(?:#[^\n]*)?\r?\n)*([ \t]+)(?=[^\s#])")


def check_text(source: Source) -> None:
    """Refuses texts that are too long, hold NUL characters or begin with an indented line."""
    if len(source.text) > LARGEST_SOURCE:
        raise AttnSyntaxError(
            "A0112",
            f"`{source.name}` is longer than {LARGEST_SOURCE} characters",
            help="split it into several files",
        )
    if "\0" in source.text:
        place = source.text.index("\0")
        raise AttnSyntaxError(
            "A0113",
            "a NUL character stands here",
            span=Span(source, place, place + 1),
            help="save the file as UTF-8 text",
        )
    start = _INDENTED_START.match(source.text)
    if start:
        raise AttnSyntaxError(
            "A0111",
            "the first line is indented",
            span=Span(source, *start.span(1)),
            help="start it in the first column",
        )


def indentation_error(error: LayoutError, source: Source) -> AttnSyntaxError:
    """The syntax error for indentation that belongs to no block."""
    span = Span(source, error.start, error.end)
    if error.kind == "tab":
        return AttnSyntaxError("A0109", "a tab indents this line", span=span, help="indent with blanks only")
    return AttnSyntaxError(
        "A0110",
        "this line is indented like no block that is open",
        span=span,
        help="align it with the lines of its block",
    )
