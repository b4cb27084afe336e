"""What commands print and write: a console, JSON, and files that appear whole or not at all."""

from __future__ import annotations

import json
import math
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from attndsl.diagnostics import AttnBackendError
from attndsl.files import write_file

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 110
"""Columns of output that goes to a file or a pipe."""


def console(error: bool = False) -> Console:
    """A console on standard output (or error); plain text of a fixed width where that is no terminal."""
    from rich.console import Console

    width = None if (sys.stderr if error else sys.stdout).isatty() else PLAIN_WIDTH
    return Console(width=width, highlight=False, emoji=False, stderr=error)


def print_report(text: str) -> None:
    """A report of some lines; those that are not indented are its headings."""
    out = console()
    for line in text.splitlines():
        style = "bold" if line[:1].strip() else None
        out.print(line, style=style, markup=False, soft_wrap=True)


def require_torch() -> None:
    """Raises AttnBackendError A0722 where torch is not installed."""
    if find_spec("torch") is None:
        raise AttnBackendError(
            "A0722", "torch is not installed, and nothing runs without it", help="pip install torch"
        )


def print_json(value: object) -> None:
    """One JSON value on standard output; numbers that JSON cannot write become null."""
    typer.echo(json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False))


def write_text(path: Path | None, text: str) -> None:
    """Write to a file, or to standard output where there is no path."""
    if path is None:
        typer.echo(text, nl=not text.endswith("\n"))
    else:
        write_file(path, text.encode("utf-8"))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
