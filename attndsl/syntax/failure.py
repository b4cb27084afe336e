"""Failure: all that is known about the place where a file stops to parse."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lark.exceptions import UnexpectedInput

from attndsl.source import Source, Span
from attndsl.syntax.expectation import Expectation, expectation
from attndsl.syntax.scan import Before, next_token, scan, token_at

LINE_BREAKS = frozenset({"_NEWLINE", "_INDENT", "_DEDENT", "$END"})


@dataclass(frozen=True)
class Failure:
    """Where parsing stopped: `start` is the offset in `text` that the user should look at."""

    source: Source
    text: str
    start: int
    seen: Expectation
    before: Before

    @property
    def found(self) -> str:
        """The text of what was found; empty where a line, block or file ends too early."""
        return "" if self.seen.found in LINE_BREAKS - {"_INDENT"} else token_at(self.text, self.start)

    @property
    def span(self) -> Span:
        """The place of what was found, at least one character wide."""
        return Span(self.source, self.start, self.start + max(1, len(self.found)))

    def match(self, pattern: str) -> re.Match[str] | None:
        """The match of a regular expression at the place, which may look behind it."""
        return re.compile(pattern).match(self.text, self.start)


def failure_of(error: UnexpectedInput, source: Source, text: str) -> Failure:
    """What is known about an error that Lark raised on `text`, the beginning of `source.text`."""
    seen = expectation(error)
    start = error.pos_in_stream if seen.found != "$END" else len(text)
    assert isinstance(start, int)
    before = scan(text, start)
    if seen.found == "_INDENT":
        start = next_token(text, start)
    elif seen.found in LINE_BREAKS:
        start = before.end
    return Failure(source, text, start, seen, before)
