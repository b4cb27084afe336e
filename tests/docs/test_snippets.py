"""Every snippet of the README and the docs is executed: `attn` blocks resolve, Python and commands run."""

from __future__ import annotations

import linecache
import re
from pathlib import Path

import pytest

import attndsl
from scripts.console import CONSOLE, PROMPT, filled, output
from scripts.snippets import blocks, write_patterns
from tests.modules import forget_modules_below

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
COMMAND_PAGES = [page for page in PAGES if page.parent.name != "cookbook"]
"""The cookbook's commands are predictions that its own test repeats."""


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_attn_blocks_resolve(page: Path) -> None:
    for block in blocks(page.read_text(encoding="utf-8"), "attn"):
        attndsl.parse(block.text, name=page.name)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = page.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    write_patterns(text, tmp_path)
    namespace: dict[str, object] = {}
    for block in blocks(text, "python"):
        # Errors of traced functions quote the snippet, as they quote a reader's file.
        lines = block.text.splitlines(keepends=True)
        linecache.cache[page.name] = (len(block.text), None, lines, page.name)
        exec(compile(block.text, page.name, "exec"), namespace)
    forget_modules_below(tmp_path)


@pytest.mark.parametrize("page", COMMAND_PAGES, ids=name)
def test_commands_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = page.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    write_patterns(text, tmp_path)
    for block in blocks(text, "sh"):
        for command in re.findall(r"^attndsl .*", block.text, re.MULTILINE):
            assert not output(f"$ {command.partition('#')[0]}").startswith(("error", "Usage")), command


@pytest.mark.parametrize("page", COMMAND_PAGES, ids=name)
def test_the_output_of_commands_is_up_to_date(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if CONSOLE.search(text):
        assert text == filled(text, tmp_path), "run: make docs"


def test_output_is_put_below_each_command(tmp_path: Path) -> None:
    page = "```attn one.attn\npattern one:\n    space tokens(n)\n    attend true\n```\n\n```console\n{}```\n"
    commands = f"{PROMPT}check one.attn\n{PROMPT}check two.attn\n"
    written = filled(page.format(commands + "something stale\n"), tmp_path)
    assert written == page.format(
        f"{PROMPT}check one.attn\n"
        "ok  one.attn: 1 pattern\n    one()\n        space tokens(n)\n\n"
        f"{PROMPT}check two.attn\n"
        "error[A0801]: there is no file `two.attn`\nhelp: check the path\n"
    )
    assert filled(written, tmp_path) == written
