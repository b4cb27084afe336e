"""Brackets: syntax errors whose cause is a bracket that is never closed, or closes nothing.

An open bracket hides line breaks, so the parser notices it lines later. These errors point at the bracket
itself.
"""

from __future__ import annotations

import re

from attndsl.diagnostics import AttnSyntaxError
from attndsl.source import Span
from attndsl.syntax.failure import Failure

_CLOSING = {"(": ")", "[": "]"}
_LINE_WORD = re.compile(
    r"(?:pattern|def|return|space|let|require|input|attend|score|scale|feature|weight|gate|decay|normalize"
    r"|blocks|groups|route|branch|combine)\b"
)


def bracket_error(failure: Failure) -> AttnSyntaxError | None:
    """The error about brackets that explains the failure, if one does."""
    brackets = failure.before.brackets
    closing = failure.text[failure.start : failure.start + 1]
    if closing and closing in ")]":
        if not brackets:
            return _closes_nothing(failure, closing)
        if _CLOSING[failure.text[brackets[-1]]] != closing:
            return _mismatched(failure, brackets[-1], closing)
    if brackets and _ends_inside(failure, brackets[-1]):
        return _never_closed(failure, brackets[-1])
    return None


def _closes_nothing(failure: Failure, closing: str) -> AttnSyntaxError:
    span = Span(failure.source, failure.start, failure.start + 1)
    return AttnSyntaxError("A0115", f"`{closing}` closes nothing", span=span, help="remove it")


def _mismatched(failure: Failure, bracket: int, closing: str) -> AttnSyntaxError:
    opening = failure.text[bracket]
    line, column = failure.source.position(bracket)
    return AttnSyntaxError(
        "A0115",
        f"`{closing}` does not close `{opening}`",
        span=Span(failure.source, failure.start, failure.start + 1),
        note=f"`{opening}` is open since line {line}, column {column}",
        help=f"write `{_CLOSING[opening]}`",
    )


def _never_closed(failure: Failure, bracket: int) -> AttnSyntaxError:
    opening = failure.text[bracket]
    return AttnSyntaxError(
        "A0114",
        f"`{opening}` is never closed",
        span=Span(failure.source, bracket, bracket + 1),
        help=f"write `{_CLOSING[opening]}` where the list or expression ends",
    )


def _ends_inside(failure: Failure, bracket: int) -> bool:
    """Whether the file, a block header or a line ends where the bracket is still open."""
    if failure.seen.found == "$END":
        return True
    text, start = failure.text, failure.start
    line_start = text.rfind("\n", 0, start) + 1
    if text[line_start:start].strip():
        return text[start] == ":" and not text[start + 1 :].split("\n", 1)[0].strip()
    if bracket >= line_start:
        return False
    indentation = start - line_start
    return indentation <= _indentation(text, bracket) or _LINE_WORD.match(text, start) is not None


def _indentation(text: str, offset: int) -> int:
    """The indentation of the line that contains `offset`."""
    line = text[text.rfind("\n", 0, offset) + 1 :]
    return len(line) - len(line.lstrip(" "))
