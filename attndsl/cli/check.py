"""`attndsl check FILE`: syntax, names and types of a .attn file, without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from attndsl.cli.list_patterns import signature, spaces, summary
from attndsl.cli.options import Json
from attndsl.cli.output import console, print_json
from attndsl.diagnostics import AttnError, AttnFileError

if TYPE_CHECKING:
    from attndsl.ir.pattern import PatternIR


def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Path of a .attn file.")],
    json: Json = False,
) -> None:
    """Check a .attn file and say what it defines, or where its first mistake is."""
    try:
        found = _patterns(file)
    except AttnError as error:
        if not json:
            raise
        print_json({"file": file, "ok": False, "patterns": [], "error": _error(error)})
        raise typer.Exit(1) from None
    if json:
        print_json({"file": file, "ok": True, "patterns": [summary(each) for each in found], "error": None})
    else:
        _print(file, found)


def _patterns(file: str) -> list[PatternIR]:
    from attndsl import library
    from attndsl.syntax.files import read_source

    try:
        return library.resolve_source(read_source(file))
    except AttnFileError as error:
        if file not in library.names():
            raise
        advice = f"`{file}` is a pattern of the library: see attndsl compile {file} --emit ir"
        raise AttnFileError(error.code, error.message, help=advice) from None


def _error(error: AttnError) -> dict[str, object]:
    """A diagnostic in the terms of an editor: lines and columns count from 1, `end_column` is exclusive."""
    span = error.span
    place: dict[str, object] = {"file": None, "line": None, "column": None, "end_column": None}
    if span is not None:
        width = max(1, len(span.text.split("\n")[0]))
        place = {
            "file": span.source.name,
            "line": span.line,
            "column": span.column,
            "end_column": span.column + width,
        }
    return {"code": error.code, "message": error.message, "note": error.note, "help": error.help, **place}


def _print(file: str, found: list[PatternIR]) -> None:
    from rich.markup import escape

    out = console()
    count = "no pattern" if not found else f"{len(found)} pattern{'s' if len(found) > 1 else ''}"
    out.print(f"[green]ok[/green]  {escape(file)}: {count}")
    for pattern in found:
        out.print(f"    [bold]{escape(signature(pattern))}[/bold]", soft_wrap=True)
        out.print(f"        space {escape(spaces(pattern))}", soft_wrap=True)
        for each in pattern.inputs:
            out.print(f"        input {escape(each.name)}")
