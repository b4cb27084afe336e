"""Literals: the values of numbers, messages and docstrings, as the tree builder needs them."""

from __future__ import annotations

import inspect
import math
import re

from attndsl.diagnostics import AttnSyntaxError
from attndsl.source import Span

LARGEST_INTEGER = 2**63 - 1
_INTEGER = re.compile(r"[0-9]+(?:_[0-9]+)*")
_REAL = re.compile(r"[0-9]+(?:_[0-9]+)*(?:\.[0-9]+(?:_[0-9]+)*)?(?:[eE][+-]?[0-9]+)?")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def read_number(text: str, span: Span) -> int | float:
    """The value of a number literal. Errors: not a number, too large for 64 bits, not finite."""
    if _INTEGER.fullmatch(text):
        return _read_integer(text.replace("_", "").lstrip("0") or "0", span)
    if not _REAL.fullmatch(text):
        raise AttnSyntaxError(
            "A0103",
            f"`{_shorten(text)}` is not a number",
            span=span,
            help="write integers as `12` or `2_048`, reals as `0.5` or `1e-3`, a product as `2 * n`",
        )
    value = float(text)
    if not math.isfinite(value):
        raise AttnSyntaxError(
            "A0105",
            "this real number is too large",
            span=span,
            help="the largest real number is about 1.8e308",
        )
    return value


def read_message(literal: str, span: Span) -> str:
    r"""The text between the quotes of a `require` message, with its escapes `\"`, `\\` and `\n` replaced."""
    meanings = {'"': '"', "\\": "\\", "n": "\n"}

    def meaning(escape: re.Match[str]) -> str:
        if escape[1] not in meanings:
            start = span.start + 1 + escape.start()
            raise AttnSyntaxError(
                "A0108",
                f"`{escape[0]}` has no meaning in a message",
                span=Span(span.source, start, start + 2),
                help='the escapes are `\\"`, `\\\\` and `\\n`; write `\\\\` for one backslash',
            )
        return meanings[escape[1]]

    return _ESCAPE.sub(meaning, literal[1:-1])


def read_documentation(literal: str) -> str:
    """The text between triple quotes, as it stands but for its indentation and blanks at line ends."""
    lines = [line.rstrip() for line in literal[3:-3].split("\n")]
    return inspect.cleandoc("\n".join(lines)).strip("\n")


def _read_integer(digits: str, span: Span) -> int:
    if len(digits) > len(str(LARGEST_INTEGER)) or int(digits) > LARGEST_INTEGER:
        raise AttnSyntaxError(
            "A0104",
            "this integer does not fit into 64 bits",
            span=span,
            help=f"the largest integer is {LARGEST_INTEGER}",
        )
    return int(digits)


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
