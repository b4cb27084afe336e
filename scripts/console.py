"""Fills in what the commands of the documentation print, so that the pages always show the truth.

    python -m scripts.console

In every block of the language `console`, lines that begin with `$ attndsl` are run in a folder with the
page's `.attn` files, and their output is put below them. A picture that they write and the page shows is
renewed. A test keeps the pages as this leaves them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from attndsl.cli.app import app
from scripts.snippets import write_patterns

DOCS = Path(__file__).resolve().parents[1] / "docs"
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROMPT = "$ attndsl "
PICTURE = re.compile(r"!\[[^]]*\]\((images/[^)]*)\)")


def filled(page: str, folder: Path) -> str:
    """The page with the output of its commands, which are run in the folder."""
    write_patterns(page, folder)
    with inside(folder):
        return CONSOLE.sub(lambda block: f"```console\n{session(block[1])}```", page)


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def session(text: str) -> str:
    """A block with the output of each of its commands below it."""
    commands = [line for line in text.splitlines() if line.startswith(PROMPT)]
    return "\n".join(f"{command}\n{output(command)}" for command in commands)


def output(command: str) -> str:
    """What a command prints, errors included. Raises what is no error of the user's."""
    words = shlex.split(command.removeprefix(PROMPT))
    result: Any = CliRunner(env={"COLUMNS": "110"}).invoke(app, words, prog_name="attndsl")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return str(result.output)


def main() -> None:
    """Fill in all pages."""
    for path in sorted(DOCS.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        if CONSOLE.search(page):
            with tempfile.TemporaryDirectory() as folder:
                path.write_text(filled(page, Path(folder)), encoding="utf-8")
                for picture in PICTURE.findall(page):
                    written = Path(folder, Path(picture).name)
                    if written.exists():
                        shutil.copy(written, DOCS / picture)


if __name__ == "__main__":
    main()
