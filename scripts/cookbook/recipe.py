"""What the cookbook says of one library pattern."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attndsl import library
from attndsl.cli.problem import examples
from attndsl.ir.pattern import PatternIR
from attndsl.syntax import ast
from attndsl.syntax.parser import parse
from scripts.cookbook.picture import undrawn
from scripts.cookbook.setting import Setting, setting

DOCSTRING = re.compile(r'^ *"""(?:.|\n)*?"""\n+', re.MULTILINE)
ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
QUIET = (ast.Space, ast.Let, ast.Require)
"""Clauses that do not tell what kind of pattern it is."""


@dataclass(frozen=True)
class Recipe:
    """A pattern's part of the cookbook. undrawn: why there is no picture, None where there is one."""

    name: str
    title: str
    meaning: str
    lines: str
    clauses: str
    chapter: str
    settings: tuple[Setting, ...]
    undrawn: str | None

    @property
    def largest(self) -> Setting:
        """The setting with the most tokens, the first of them."""
        return max(self.settings, key=lambda setting: setting.tokens)


def recipe(name: str) -> Recipe:
    """Everything that the cookbook says of a library pattern."""
    source, ir = library.source(name), library.load(name)
    file = parse(source)
    meaning, _, _ = ir.documentation.partition("Examples:")
    every = examples(ir.documentation)
    published = {each: words for each, words in every.items() if each != "small"} or every
    return Recipe(
        name=name,
        title=file.documentation.strip(),
        meaning=ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", meaning.strip()),
        lines=DOCSTRING.sub("", source.text),
        clauses=", ".join(dict.fromkeys(clauses(pattern_of(file, name).clauses))),
        chapter=chapter(ir),
        settings=tuple(setting(name, each, words) for each, words in published.items()),
        undrawn=undrawn(name),
    )


def pattern_of(file: ast.File, name: str) -> ast.Pattern:
    """The pattern of that name in a file."""
    return next(each for each in file.definitions if isinstance(each, ast.Pattern) and each.name == name)


def clauses(found: Sequence[ast.Clause]) -> Iterator[str]:
    """The words of the clauses that make a pattern what it is: `attend`, `decay`."""
    for clause in found:
        if not isinstance(clause, QUIET):
            yield type(clause).__name__.lower()
        if isinstance(clause, ast.Branch):
            yield from clauses(clause.clauses)


def chapter(ir: PatternIR) -> str:
    """The chapter of a pattern, by its space."""
    first = ir.query_space[0]
    if not ir.cross and first.variadic:
        return "any"
    return first.name if not ir.cross and first.name in ("tokens", "image", "video") else "other"
