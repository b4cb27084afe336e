"""A plugin of pytest that checks `.attn` files: `pytest --attn`, or `attn = true` in pytest's settings.

Each pattern is a test of its own, which fails with the diagnostic of its first mistake. Without the option
the plugin does nothing, and nothing of the compiler is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from attndsl.diagnostics import AttnError

if TYPE_CHECKING:
    from attndsl.syntax import ast


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option and the setting that turn the plugin on."""
    group = parser.getgroup("attndsl")
    group.addoption("--attn", action="store_true", help="check the patterns of .attn files")
    parser.addini("attn", "check the patterns of .attn files", type="bool", default=False)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The file as a collector of its patterns."""
    wanted = file_path.suffix == ".attn" and (parent.config.option.attn or parent.config.getini("attn"))
    return AttnFile.from_parent(parent, path=file_path) if wanted else None


class AttnFile(pytest.File):
    """A `.attn` file."""

    def collect(self) -> Iterator[pytest.Item]:
        """One test per pattern, or a single one that fails for a text that cannot be parsed."""
        from attndsl.syntax import ast

        try:
            tree = _parse(self.path)
        except AttnError:
            yield Check.from_parent(self, name="syntax", check=partial(_parse, self.path))
            return
        for each in tree.definitions:
            if isinstance(each, ast.Pattern):
                line = each.span.line if each.span else 1
                yield Check.from_parent(self, name=each.name, check=partial(_resolve, tree, each), line=line)


class Check(pytest.Item):
    """A test that passes unless its check finds a mistake."""

    def __init__(self, *, check: Callable[[], object], line: int = 1, **others: Any) -> None:
        super().__init__(**others)
        self.check = check
        self.line = line

    def runtest(self) -> None:
        """Run the check, which raises AttnError for a mistake in the file."""
        self.check()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The diagnostic alone; a traceback for anything that is no mistake in the file."""
        if isinstance(excinfo.value, AttnError):
            return excinfo.value.render()
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the pattern stands; pytest counts lines from 0."""
        return self.path, self.line - 1, self.name


def _parse(path: Path) -> ast.File:
    from attndsl.syntax.files import read_source
    from attndsl.syntax.parser import parse

    return parse(read_source(path))


def _resolve(tree: ast.File, pattern: ast.Pattern) -> None:
    """Resolve the file without the patterns of other names: each answers for its own mistakes."""
    from attndsl import library
    from attndsl.syntax import ast

    mine = (each for each in tree.definitions if isinstance(each, ast.Function) or each.name == pattern.name)
    library.resolve_tree(replace(tree, definitions=tuple(mine)))
