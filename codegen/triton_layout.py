"""How printed Python is laid out: comments beside or above lines, and long lines broken at commas."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

WIDTH = 100
"""The widest line inside a function, before indentation."""

_CALL = re.compile(r"(\w+ = )?[\w.]+\(")


def commented(text: str, comment: str) -> Iterator[str]:
    """A statement with its comment: beside it, or above it where that would be too wide."""
    if comment and len(text) + len(comment) + 4 > WIDTH:
        yield from comment_lines(comment)
        yield from broken(text)
    else:
        yield from broken(f"{text}  # {comment}" if comment else text)


def comment_lines(comment: str) -> Iterator[str]:
    """A comment of any length."""
    yield from textwrap.wrap(
        comment, WIDTH, initial_indent="# ", subsequent_indent="#     ", break_long_words=False
    )


def recommented(lines: Iterable[str]) -> Iterator[str]:
    """Lines whose trailing comments go above them where they are too wide."""
    for line in lines:
        text, mark, comment = line.partition("  # ")
        yield from commented(text, comment if mark else "")


def indented(lines: Iterable[str]) -> Iterator[str]:
    """Lines inside a function or loop."""
    yield from (f"    {line}" if line else "" for line in lines)


def broken(line: str) -> Iterator[str]:
    """The line, or where it is too wide and consists of one call, one line per argument."""
    head, arguments = _call(line.removesuffix(","))
    if len(line) <= WIDTH or not arguments:
        yield line
        return
    yield head
    for argument in arguments:
        yield from indented(broken(f"{argument},"))
    yield ")," if line.endswith(",") else ")"


def _call(text: str) -> tuple[str, list[str]]:
    """The text up to the first argument, and the arguments, of `name = function(...)` or `function(...)`."""
    head = _CALL.match(text)
    if not head:
        return "", []
    depth, start, arguments = 1, head.end(), list[str]()
    for place in range(head.end(), len(text)):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(text[place], 0)
        if (depth == 1 and text[place] == ",") or depth == 0:
            arguments.append(text[start:place].strip())
            start = place + 1
        if depth == 0:
            return text[: head.end()], arguments if start == len(text) else []
    return "", []
