"""Who may import whom: each stage sees the stages before it, and only `pipeline` sees the whole compiler."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import attndsl

PACKAGE = Path(attndsl.__file__).parent

LEAVES = {"source", "diagnostics", "settings", "stages", "files"}
"""Modules that belong to no stage; any stage may use them."""

MAY_SEE: dict[str, set[str]] = {
    "source": set(),
    "diagnostics": {"source"},
    "settings": set(),
    "stages": {"diagnostics", "settings"},
    "files": {"diagnostics"},
    "grammar": set(),
    "patterns": set(),
    "syntax": LEAVES | {"grammar"},
    "ir": LEAVES,
    "passes": LEAVES | {"syntax", "ir"},
    "library": LEAVES | {"syntax", "ir", "passes", "patterns"},
    "schedule": LEAVES | {"ir", "passes"},
    "simulate": LEAVES | {"ir", "passes", "schedule", "codegen"},
    "show": LEAVES | {"ir", "passes", "schedule", "simulate"},
    "codegen": LEAVES | {"ir", "schedule"},
    "runtime": LEAVES | {"ir", "passes", "schedule", "codegen"},
    "bound_target": LEAVES | {"ir", "runtime"},
    "named_pattern": LEAVES | {"pipeline"},
    "fitting": LEAVES
    | {"ir", "schedule", "simulate", "show", "runtime", "pipeline", "named_pattern", "plans"},
    "trace": LEAVES | {"syntax", "ir", "passes", "library"},
    "lang": LEAVES | {"syntax", "passes", "library", "trace"},
    "decorator": LEAVES | {"syntax", "trace", "pipeline"},
    "importer": LEAVES | {"ir", "syntax", "library", "pipeline"},
    "pytest_plugin": LEAVES | {"syntax", "library"},
    "last_rows": LEAVES | {"ir", "passes", "runtime", "pipeline"},
    "plans": LEAVES | {"pipeline", "named_pattern"},
    "functional": LEAVES | {"pipeline", "plans", "runtime"},
    "nn": LEAVES | {"pipeline", "plans", "runtime"},
    "integrations": LEAVES | {"ir", "passes", "runtime", "pipeline", "plans"},
    "__init__": LEAVES
    | {"pipeline", "importer", "fitting", "decorator", "lang", "trace", "functional", "nn", "plans"},
    "__main__": {"cli"},
}
"""For each part of the package, the other parts that it may import. `pipeline` and `cli` see everything."""

SEES_EVERYTHING = {"pipeline", "cli"}


def part_of(path: Path) -> str:
    """The part of the package a file belongs to: its folder, or its own name at the top level."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_modules(path: Path, for_types: bool = True) -> Iterator[str]:
    """Full names of all modules that a file imports, also inside functions.

    for_types: whether imports that only a type checker sees count too.
    """
    package = ("attndsl", *path.relative_to(PACKAGE).parent.parts)
    for node in walk(ast.parse(path.read_text(encoding="utf-8")), for_types):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def walk(node: ast.AST, for_types: bool) -> Iterator[ast.AST]:
    """The node and all below it; without for_types, `if TYPE_CHECKING:` is left out."""
    if not for_types and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from walk(child, for_types)


def python_files() -> list[Path]:
    """All Python files of the package, also behind its links, which a recursive glob does not follow."""
    folders = (path for path in PACKAGE.iterdir() if path.is_dir())
    nested = (path for folder in folders for path in folder.rglob("*.py"))
    return sorted([*PACKAGE.glob("*.py"), *nested])


FILES = python_files()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_the_stages_it_may_see(path: Path) -> None:
    part = part_of(path)
    if part in SEES_EVERYTHING:
        return
    seen = {name.split(".")[1] for name in imported_modules(path) if name.startswith("attndsl.")}
    forbidden = seen - MAY_SEE[part] - {part, "__version__"}
    assert not forbidden, f"{part} must not import {sorted(forbidden)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_runtime_imports_torch_and_triton(path: Path) -> None:
    heavy = {name.split(".")[0] for name in imported_modules(path, for_types=False)} & {"torch", "triton"}
    assert not heavy or part_of(path) in ("runtime", "nn", "integrations")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_folders_are_imported_by_their_full_name(path: Path) -> None:
    top_level = {name.split(".")[0] for name in imported_modules(path)}
    assert not top_level & {"codegen", "grammar", "patterns"}, "works in a checkout only"


def test_every_part_has_a_rule() -> None:
    parts = {part_of(path) for path in FILES}
    assert parts <= set(MAY_SEE) | SEES_EVERYTHING
    assert {"codegen", "patterns", "ir", "syntax"} <= parts
