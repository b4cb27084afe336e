"""The shipped library: the patterns of the `patterns` folder, one file each, and the prelude's functions.

The parser and the resolver are loaded when a text is parsed: a program whose patterns were all checked
before needs neither.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from attndsl.diagnostics import AttnFileError
from attndsl.source import Source

if TYPE_CHECKING:
    from attndsl.ir.pattern import PatternIR
    from attndsl.passes.resolve_expr import Definition
    from attndsl.syntax import ast

PRELUDE = "prelude"


def names() -> list[str]:
    """Names of the shipped patterns, sorted."""
    entries = (entry.name for entry in files("attndsl.patterns").iterdir())
    return sorted(name[:-5] for name in entries if name.endswith(".attn") and name != f"{PRELUDE}.attn")


def source(name: str) -> Source:
    """The text of a shipped file. Raises AttnFileError A0811 for an unknown name."""
    if name != PRELUDE and name not in names():
        from attndsl.passes.scope import unknown_name

        missing = unknown_name("pattern", name, names(), None)
        raise AttnFileError("A0811", f"the library has no pattern `{name}`", help=missing.help)
    entry = files("attndsl.patterns").joinpath(f"{name}.attn")
    return Source(f"{name}.attn", entry.read_text(encoding="utf-8"))


@cache
def prelude() -> dict[str, Definition]:
    """The functions that every pattern can call."""
    from attndsl.passes.resolve import functions_of

    return functions_of(_parse(source(PRELUDE)), {})


def resolve_source(text: Source) -> list[PatternIR]:
    """All patterns of a source, resolved against the prelude."""
    return resolve_tree(_parse(text))


def resolve_tree(tree: ast.File) -> list[PatternIR]:
    """All patterns of a syntax tree, resolved against the prelude."""
    from attndsl.passes.resolve import resolve

    return resolve(tree, prelude())


@cache
def load(name: str) -> PatternIR:
    """A shipped pattern by name."""
    return next(pattern for pattern in resolve_source(source(name)) if pattern.name == name)


def _parse(text: Source) -> ast.File:
    from attndsl.syntax.parser import parse

    return parse(text)
