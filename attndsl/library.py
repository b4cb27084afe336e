"""The shipped library: the patterns of the `patterns` folder, one file each, and the prelude's functions."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from attndsl.diagnostics import AttnFileError
from attndsl.ir.pattern import PatternIR
from attndsl.passes.resolve import functions_of, resolve
from attndsl.passes.resolve_expr import Definition
from attndsl.passes.scope import unknown_name
from attndsl.source import Source
from attndsl.syntax.parser import parse

PRELUDE = "prelude"


def names() -> list[str]:
    """Names of the shipped patterns, sorted."""
    entries = (entry.name for entry in files("attndsl.patterns").iterdir())
    return sorted(name[:-5] for name in entries if name.endswith(".attn") and name != f"{PRELUDE}.attn")


def source(name: str) -> Source:
    """The text of a shipped file. Raises AttnFileError A0811 for an unknown name."""
    if name != PRELUDE and name not in names():
        missing = unknown_name("pattern", name, names(), None)
        raise AttnFileError("A0811", f"the library has no pattern `{name}`", help=missing.help)
    entry = files("attndsl.patterns").joinpath(f"{name}.attn")
    return Source(f"{name}.attn", entry.read_text(encoding="utf-8"))


@cache
def prelude() -> dict[str, Definition]:
    """The functions that every pattern can call."""
    return functions_of(parse(source(PRELUDE)), {})


def resolve_source(text: Source) -> list[PatternIR]:
    """All patterns of a source, resolved against the prelude."""
    return resolve(parse(text), prelude())


@cache
def load(name: str) -> PatternIR:
    """A shipped pattern by name."""
    return next(pattern for pattern in resolve_source(source(name)) if pattern.name == name)
