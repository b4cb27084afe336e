"""How printed Python is laid out: comments beside or above lines, and long lines broken at commas."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

WIDTH = 100
"""The widest line inside a function, before indentation."""

_ASSIGNMENT = re.compile(r"\w+ = ")
_CALL = re.compile(r"(\w+ = )?[\w.]+\(")


def commented(text: str, comment: str) -> Iterator[str]:
    """A statement with its comment: beside it, or above it where that would be too wide."""
    if comment and len(text) + len(comment) + 4 > WIDTH:
        yield from comment_lines(comment)
        yield text
    else:
        yield f"{text}  # {comment}" if comment else text


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


def laid_out(lines: Iterable[str]) -> Iterator[str]:
    """Lines of any indentation, those that are too wide broken up."""
    for line in lines:
        text = line.lstrip()
        pieces = [text] if "#" in text else broken(text)
        yield from (" " * (len(line) - len(text)) + piece for piece in pieces)


def broken(line: str) -> Iterator[str]:
    """The line or, where it is too wide, one line per argument of its call, or per term of its sum."""
    if len(line) <= WIDTH:
        yield line
        return
    comma = "," if line.endswith(",") else ""
    text = line.removesuffix(",")
    head, arguments = _call(text)
    name, assigned, value = text.partition(" = ") if _ASSIGNMENT.match(text) else ("", "", text)
    if arguments:
        yield head
        for argument in arguments:
            yield from indented(broken(f"{argument},"))
        yield f"){comma}"
    elif assigned:
        yield f"{name} = ("
        yield from indented(_terms(value))
        yield ")"
    else:
        *terms, last = _terms(text)
        yield from (*terms, last + comma)


def _terms(text: str) -> list[str]:
    """A sum or condition, cut where its loosest operator stands outside of all brackets."""
    for operator in (" | ", " & ", " <= ", " + "):
        depth, start, terms = 0, 0, list[str]()
        for place, letter in enumerate(text):
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(letter, 0)
            if depth == 0 and text.startswith(operator, place):
                terms.append(text[start:place])
                start = place + 1
        if terms:
            return [*terms, text[start:]]
    return [text]


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
