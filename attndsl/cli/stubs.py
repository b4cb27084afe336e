"""`attndsl stubs [PATHS]`: `.pyi` files beside `.attn` files, for editors and type checkers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from attndsl.diagnostics import AttnFileError
from attndsl.files import write_file

IGNORED = {"__pycache__", "node_modules", "site-packages"}
"""Folders that are not searched, beside hidden ones and virtual environments."""


def stubs(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATHS]", help="Files and folders. Default: this folder.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a stub is stale.")] = False,
) -> None:
    """Write a .pyi file beside each .attn file, so that editors know its patterns and their parameters."""
    stale = []
    for file in _files(paths or [Path()]):
        target, text = file.with_suffix(".pyi"), _stub(file)
        if text is None or text.encode() == _contents(target):
            continue
        stale.append(str(target))
        if not check:
            write_file(target, text.encode())
            typer.echo(f"wrote {target}")
    if check and stale:
        raise AttnFileError("A0813", f"stubs are stale: {', '.join(stale)}", help="run `attndsl stubs`")


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        yield from _files_below(path) if path.is_dir() else [path]


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if not _ignored(Path(parent, each)))
        yield from (Path(parent, each) for each in sorted(files) if each.endswith(".attn"))


def _ignored(folder: Path) -> bool:
    return folder.name.startswith(".") or folder.name in IGNORED or (folder / "pyvenv.cfg").exists()


def _stub(file: Path) -> str | None:
    """The stub of a file; None, and a line that says why, for one that Python cannot import."""
    from attndsl.importer.checked import check
    from attndsl.importer.stubs import stub
    from attndsl.syntax.files import read_source

    checked = check(read_source(file))
    reason = _no_module(file) or ("" if checked.patterns else "it defines no pattern")
    if reason:
        typer.echo(f"skipped {file}: {reason}")
        return None
    return stub(checked, file.name)


def _no_module(file: Path) -> str:
    """Why Python cannot import the file; empty where it can."""
    if file.suffix != ".attn" or not file.stem.isidentifier():
        return "Python cannot import a file of this name"
    if file.with_suffix(".py").exists():
        return f"Python imports {file.with_suffix('.py').name} in its place"
    return ""


def _contents(stub: Path) -> bytes | None:
    """What a stub holds now, None for no file. Raises AttnFileError A0814 where somebody else wrote it."""
    from attndsl.importer.stubs import MARK

    if not stub.exists():
        return None
    contents = stub.read_bytes()
    if contents.startswith(MARK.encode()):
        return contents
    raise AttnFileError(
        "A0814", f"`{stub}` was not written by attndsl", help="delete it, or move it away, to have it written"
    )
