"""Unexpected: the general syntax error, for what the table of typical mistakes does not know.

It names what was found and what was expected; for a misspelt word at the start of a line it proposes the
word.
"""

from __future__ import annotations

from difflib import get_close_matches

from lark import Lark

from attndsl.diagnostics import AttnSyntaxError
from attndsl.source import Span
from attndsl.syntax.characters import unknown_character
from attndsl.syntax.expectation import in_words
from attndsl.syntax.failure import Failure

_CLAUSES = [
    "space", "let", "require", "input", "attend", "score", "scale", "feature", "weight", "gate", "decay",
    "normalize",
]  # fmt: skip
_PHRASES = ["among", "select", "prefer", "always"]
_LINES = {
    "CLAUSE": (
        "a clause",
        [*_CLAUSES, "query", "key", "value", "blocks", "groups", "route", "branch", "combine"],
    ),
    "STATEMENT": ("a line of a function", ["let", "require", "return"]),
    "DEFINITION": ("a definition", ["pattern", "def"]),
}
_FOUND = {
    "_NEWLINE": "the end of the line",
    "_INDENT": "an indented line",
    "_DEDENT": "the end of the block",
    "$END": "the end of the file",
}


def unexpected(failure: Failure, lark: Lark) -> AttnSyntaxError:
    """The error for a failure that is no typical mistake."""
    if failure.seen.found == "CHARACTER":
        return _unknown_character(failure)
    if failure.seen.found == "NAME":
        for kind in _LINES.keys() & failure.seen.classes:
            return _unknown_word(failure, kind)
    expected = in_words(failure.seen.classes, lark)
    return AttnSyntaxError(
        "A0101",
        f"expected {expected}, found {_found(failure)}",
        span=failure.span,
        help=_advice(failure, expected),
    )


def _unknown_character(failure: Failure) -> AttnSyntaxError:
    message, help = unknown_character(failure.text[failure.start])
    span = Span(failure.source, failure.start, failure.start + 1)
    return AttnSyntaxError("A0102", message, span=span, help=help)


def _unknown_word(failure: Failure, kind: str) -> AttnSyntaxError:
    """A line begins with a word that begins no line here."""
    what, words = _LINES[kind]
    if kind == "CLAUSE" and failure.found in _PHRASES:
        return AttnSyntaxError(
            "A0153", f"`{failure.found}` is a phrase of a route, and no clause", span=failure.span,
            help="indent it below the line that begins with `route`",
        )  # fmt: skip
    close = get_close_matches(failure.found, words, n=1)
    known = ", ".join(f"`{word}`" for word in words[:-1]) + f" or `{words[-1]}`"
    return AttnSyntaxError(
        "A0153",
        f"no line begins with `{failure.found}` here",
        span=failure.span,
        help=f"write `{close[0]}`" if close else f"{what} begins with {known}",
    )


def _found(failure: Failure) -> str:
    if failure.seen.found in _FOUND:
        return _FOUND[failure.seen.found]
    found = failure.found
    return f"`{found if len(found) <= 40 else found[:37] + '...'}`"


def _advice(failure: Failure, expected: str) -> str:
    """One fix that can be told from what was expected."""
    classes = failure.seen.classes
    if failure.before.brackets and "COMMA" in classes:
        return "separate the parts with `,`, or close the bracket before this"
    if {"OPERATOR", "_NEWLINE"} <= classes:
        return "start a new line here, or join the parts with an operator such as `and`"
    if "_NEWLINE" in classes:
        return "start a new line here"
    if "DEFINITION" in classes:
        return "a file holds definitions with `pattern` and `def`"
    return f"write {expected} here"
