"""Layout: turns line breaks and indentation into the tokens _NEWLINE, _INDENT and _DEDENT.

It stands between Lark's lexer and its parser (a post-lexer). Unlike Lark's own `Indenter` it keeps its state
in the running generator, so that several threads may share one parser, and it never asserts on what a user
wrote.
"""

from __future__ import annotations

from collections.abc import Iterator

from lark import Token
from lark.lark import PostLex

_OPENING = frozenset({"LPAR", "LSQB"})
_CLOSING = frozenset({"RPAR", "RSQB"})


class LayoutError(Exception):
    """Wrong indentation between the offsets `start` and `end`; `kind` is 'tab' or 'dedent'."""

    def __init__(self, kind: str, start: int, end: int) -> None:
        super().__init__(kind)
        self.kind = kind
        self.start = start
        self.end = end


class Layout(PostLex):
    """Ends every logical line with one _NEWLINE and brackets every block with _INDENT and _DEDENT."""

    always_accept = ("_NEWLINE",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """The tokens with their layout; line breaks inside brackets and before the first token vanish."""
        blocks = [0]
        brackets = 0
        last: Token | None = None
        for token in stream:
            if token.type != "_NEWLINE":
                brackets += (token.type in _OPENING) - (token.type in _CLOSING)
                last = token
                yield token
            elif brackets == 0 and last is not None:
                last = token
                yield from _end_line(token, blocks)
        if last is not None and brackets == 0:
            yield from _end_file(last, blocks)


def _end_line(newline: Token, blocks: list[int]) -> Iterator[Token]:
    """The line break itself, then what the indentation of the next line opens or closes."""
    yield newline
    indentation = newline.rsplit("\n", 1)[1]
    if "#" in indentation:
        return  # A comment that ends the file.
    end = (newline.start_pos or 0) + len(newline)
    if "\t" in indentation:
        raise LayoutError("tab", end - len(indentation) + indentation.index("\t"), end)
    width = len(indentation)
    if width > blocks[-1]:
        blocks.append(width)
        yield Token.new_borrow_pos("_INDENT", indentation, newline)
    while width < blocks[-1]:
        blocks.pop()
        yield Token.new_borrow_pos("_DEDENT", "", newline)
    if width != blocks[-1]:
        raise LayoutError("dedent", end - width, end)


def _end_file(last: Token, blocks: list[int]) -> Iterator[Token]:
    """Ends the last line and all open blocks."""
    ends = ["_NEWLINE"] * (last.type != "_NEWLINE") + ["_DEDENT"] * (len(blocks) - 1)
    for kind in ends:
        yield Token(kind, "", last.end_pos, last.end_line, last.end_column)
