"""Explain: from an error of Lark's parser or lexer to a syntax error that names the mistake and its fix.

Runs only when a file does not parse. Typical mistakes come from the table grammar/mistakes.py; anything else
is told as what was found and what was expected.
"""

from __future__ import annotations

import re
from functools import cache

from lark import Lark
from lark.exceptions import UnexpectedInput

from attndsl.diagnostics import AttnSyntaxError
from attndsl.grammar.mistake import Mistake
from attndsl.grammar.mistakes import TABLE
from attndsl.source import Source, Span
from attndsl.syntax.brackets import bracket_error
from attndsl.syntax.expectation import Expectation, expectation
from attndsl.syntax.failure import LINE_BREAKS, Failure, failure_of
from attndsl.syntax.unexpected import unexpected


def explain(error: UnexpectedInput, source: Source, text: str, lark: Lark) -> AttnSyntaxError:
    """The syntax error for an error that Lark raised on `text`, the beginning of `source.text`."""
    failure = failure_of(error, source, text)
    return bracket_error(failure) or _typical(failure, lark) or unexpected(failure, lark)


def _typical(failure: Failure, lark: Lark) -> AttnSyntaxError | None:
    """The error of the first entry in the table that fits."""
    for mistake in TABLE:
        if _fits(mistake, failure, lark):
            return _told(mistake, failure)
    return None


def _fits(mistake: Mistake, failure: Failure, lark: Lark) -> bool:
    seen = failure.seen
    if mistake.examples:
        return seen in _expectations(mistake.examples, lark)
    return (
        _fits_found(mistake, seen)
        and (not mistake.expected or not seen.classes.isdisjoint(mistake.expected))
        and (not mistake.inside or seen.inside in mistake.inside)
        and (not mistake.before or re.fullmatch(mistake.before, failure.before.token) is not None)
        and (not mistake.text or failure.match(mistake.text) is not None)
    )


def _fits_found(mistake: Mistake, seen: Expectation) -> bool:
    if seen.found == "CHARACTER" and not mistake.text:
        return False
    if not mistake.found:
        return seen.found not in LINE_BREAKS
    return "ANYTHING" in mistake.found or seen.found in mistake.found


@cache
def _expectations(examples: tuple[str, ...], lark: Lark) -> frozenset[Expectation]:
    """What is expected and found where the examples of a mistake stop to parse."""
    return frozenset(_expectation_in(example, lark) for example in examples)


def _expectation_in(example: str, lark: Lark) -> Expectation:
    try:
        lark.parse(example.rstrip())
    except UnexpectedInput as error:
        return expectation(error)
    raise AssertionError(f"this example of a mistake has none:\n{example}")


def _told(mistake: Mistake, failure: Failure) -> AttnSyntaxError:
    match = failure.match(mistake.text) if mistake.text else None
    found = match[0] if match else failure.found
    if mistake.at_before:
        span = Span(failure.source, failure.before.start, failure.before.end)
    else:
        span = Span(failure.source, failure.start, failure.start + max(1, len(found)))
    return AttnSyntaxError(
        mistake.code,
        _filled(mistake.message, found, failure),
        span=span,
        note=mistake.note,
        help=_filled(mistake.help, found, failure),
    )


def _filled(template: str, found: str, failure: Failure) -> str:
    """The text with `{found}`, `{name}` (its first word) and `{before}` put in, long ones shortened."""
    name = found.split("=")[0].rstrip(" :")
    for hole, text in (("{found}", found), ("{name}", name), ("{before}", failure.before.token)):
        template = template.replace(hole, text if len(text) <= 40 else text[:37] + "...")
    return template
