"""Writes the table of the prelude's functions into docs/language.md, from their docstrings.

    python -m scripts.prelude_table

A test keeps the table equal to what this prints.
"""

from __future__ import annotations

from pathlib import Path

from attndsl import library
from attndsl.syntax import ast
from attndsl.syntax.parser import parse
from attndsl.syntax.printer import to_text

PAGE = Path(__file__).resolve().parents[1] / "docs" / "language.md"
START, END = "<!-- table: make docs -->", "<!-- end of table -->"


def table() -> str:
    """One row per function: how it is called, and the first sentence of its docstring."""
    rows = ["| function | meaning |", "|---|---|"]
    for each in parse(library.source(library.PRELUDE)).definitions:
        if isinstance(each, ast.Function):
            rows.append(f"| `{signature(each)}` | {each.documentation.strip().splitlines()[0]} |")
    return "\n".join(rows)


def signature(function: ast.Function) -> str:
    """`band(query, key, left, right)`, as the printer writes it."""
    return f"{function.name}({', '.join(map(to_text, function.parameters))})"


def filled(page: str) -> str:
    """The page's text with the table between its markers replaced."""
    before, rest = page.split(START, 1)
    return f"{before}{START}\n\n{table()}\n\n{END}{rest.split(END, 1)[1]}"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
