"""Spaces: the texts `space=`, `query_space=` and `key_space=`, read by the language's parser."""

from __future__ import annotations

from dataclasses import replace

from attndsl.diagnostics import AttnError, AttnTraceError
from attndsl.source import Source, Span
from attndsl.syntax import ast as syntax
from attndsl.syntax.parser import parse
from attndsl.trace.subject import Subject

CLAUSES = {"space": "space ", "query_space": "query space ", "key_space": "key space "}
HEAD = "pattern p:\n    "


def read_space(argument: str, text: object, subject: Subject) -> syntax.Space:
    """The clause of one argument. Errors in it point at the decorator."""
    found = subject.decorator_literal(argument)
    span = found[1] if found else subject.span
    if not isinstance(text, str):
        raise AttnTraceError(
            "A1009", f"`{argument}` must be a text", span=span, help=f'write `{argument}="tokens(n)"`'
        )
    line = text.replace("\n", " ")
    source = Source(f"{argument}=", f"{HEAD}{CLAUSES[argument]}{line}\n    attend true\n")
    try:
        pattern = parse(source).definitions[0]
    except AttnError as error:
        raise type(error)(
            error.code, error.message, help=error.help, note=error.note,
            span=_place_in_literal(error.span, len(HEAD + CLAUSES[argument]), text, span),
        ) from None  # fmt: skip
    assert isinstance(pattern, syntax.Pattern)
    space = pattern.clauses[0]
    assert isinstance(space, syntax.Space)
    segments = tuple(replace(each, span=span) for each in space.segments)
    return replace(space, segments=segments, span=span)


def _place_in_literal(place: Span | None, head: int, text: str, literal: Span) -> Span:
    """The characters of a string literal that a place in its value stands for."""
    start = literal.text.find(text)
    if place is None or start < 0 or not head <= place.start <= head + len(text):
        return literal
    first = literal.start + start + place.start - head
    return Span(literal.source, first, max(first + 1, min(literal.end, first + place.end - place.start)))


def space_by_use(used: list[str], subject: Subject) -> syntax.Space:
    """The space of a function that does not declare one: its one axis is the one that it reads."""
    axes = list(dict.fromkeys(used)) or ["n"]
    if len(axes) > 1:
        raise AttnTraceError(
            "A1009",
            f"`{subject.name}` reads the axes {', '.join(f'`{axis}`' for axis in axes)}, in no order",
            span=subject.span,
            help=f'declare the order: `@attndsl.jit(space="tokens({", ".join(axes)})")`',
        )
    return syntax.Space(
        "both", (syntax.SpaceSegment("tokens", (axes[0],), span=subject.span),), span=subject.span
    )
