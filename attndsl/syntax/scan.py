"""Scan: what stands around a syntax error, read without the parser.

An error needs the brackets that are open at its place, the last token before it and the token at it. Regular
expressions find them, also where the text is not a `.attn` file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_TOKEN = re.compile(
    r'"""[\s\S]*?"""|"""|"(?:[^"\\\n]|\\.)*"|[qk]\.[A-Za-z_]\w*|[0-9][\w.]*|\w+'
    r"|\.\.\.|->|\+\+|\*\*|//|==|!=|<=|>=|[\s\S]"
)
_OPENED_BY = {")": "(", "]": "["}


@dataclass(frozen=True)
class Before:
    """The text before an error: the open brackets as offsets, innermost last, and the last token."""

    brackets: tuple[int, ...]
    token: str
    start: int
    end: int


def scan(text: str, stop: int) -> Before:
    """What stands before the offset `stop`."""
    brackets: list[int] = []
    token, start, end = "", 0, 0
    position = next_token(text, 0)
    while position < stop:
        token, start = token_at(text, position), position
        end = start + len(token)
        if token in ("(", "["):
            brackets.append(start)
        elif brackets and text[brackets[-1]] == _OPENED_BY.get(token):
            brackets.pop()
        position = next_token(text, end)
    return Before(tuple(brackets), token, start, end)


def token_at(text: str, offset: int) -> str:
    """The token that begins at `offset`; empty at the end of the text."""
    match = _TOKEN.match(text, offset)
    return match[0] if match else ""


def next_token(text: str, offset: int) -> int:
    """The offset of the first token at or after `offset`, past blanks, line breaks and comments."""
    match = _BLANK.match(text, offset)
    return match.end() if match else offset
