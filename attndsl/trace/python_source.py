"""Python files as errors show them: their text, and the syntax node at a place of their bytecode."""

from __future__ import annotations

import ast
import linecache
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from types import CodeType
from typing import Any

from attndsl.source import Source, Span

Position = tuple[int, int, int, int]
"""First line, first column, last line, column behind the end, as Python counts them: columns in bytes."""


@dataclass(frozen=True)
class PythonSource:
    """A Python file: its text, its syntax nodes by position, and the parent of each node."""

    source: Source
    known: bool
    """Whether there is a text at all; else only the numbers of lines are right."""
    nodes: dict[Position, ast.AST]
    parents: dict[ast.AST, ast.AST]

    def at(self, position: Position) -> ast.AST | None:
        """The innermost node that takes up exactly this position."""
        return self.nodes.get(position)

    def span(self, node: ast.AST) -> Span | None:
        """The place of a node, if it has one."""
        position = position_of(node)
        return None if position is None else self.span_at(position)

    def span_at(self, position: Position) -> Span:
        """The place of a position; a whole line where the text is not known."""
        first, start, last, end = position
        if not self.known:
            return self.whole_line(first)
        return Span(self.source, self._offset(first, start), self._offset(last, end))

    def whole_line(self, number: int) -> Span:
        """The place of a line, without the blanks around its text."""
        text = self._line(number)
        start = self._start(number) + len(text) - len(text.lstrip())
        return Span(self.source, start, max(start + 1, self._start(number) + len(text.rstrip())))

    def _offset(self, line: int, column: int) -> int:
        text = self._line(line)
        return self._start(line) + len(text.encode()[:column].decode(errors="ignore"))

    def _start(self, line: int) -> int:
        starts = _line_starts(self.source.text)
        return starts[min(line, len(starts)) - 1]

    def _line(self, line: int) -> str:
        count = len(_line_starts(self.source.text))
        return self.source.line(min(line, count))


def position_of(node: ast.AST) -> Position | None:
    """Where a node stands; None for nodes such as operators, which have no place."""
    fields = ("lineno", "col_offset", "end_lineno", "end_col_offset")
    found = [getattr(node, name, None) for name in fields]
    if None in found:
        return None
    first, start, last, end = (int(number) for number in found if number is not None)
    return first, start, last, end


def source_of(code: CodeType, module: dict[str, Any] | None) -> PythonSource:
    """The file that a piece of code comes from; with lines that say so where its text cannot be had."""
    lines = linecache.getlines(code.co_filename, module)
    if lines:
        return _read(code.co_filename, "".join(lines))
    last = max((line for _, _, line in code.co_lines() if line), default=code.co_firstlineno)
    text = "\n".join(["(the text of this line is not known)"] * last)
    return PythonSource(Source(code.co_filename, text), False, {}, {})


@lru_cache(maxsize=16)
def _read(name: str, text: str) -> PythonSource:
    nodes: dict[Position, ast.AST] = {}
    parents: dict[ast.AST, ast.AST] = {}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return PythonSource(Source(name, text), True, nodes, parents)
    for node in ast.walk(tree):  # from the outside inwards: the innermost node of a position is met last
        position = position_of(node)
        if position is not None:
            nodes[position] = node
        for child in ast.iter_child_nodes(node):
            parents[child] = node
    return PythonSource(Source(name, text), True, nodes, parents)


@lru_cache(maxsize=16)
def _line_starts(text: str) -> list[int]:
    return list(accumulate((len(line) + 1 for line in text.split("\n")), initial=0))[:-1]
