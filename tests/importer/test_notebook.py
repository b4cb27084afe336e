"""In IPython with autoreload, an edited `.attn` file is current in the next cell."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.importer.texts import TWO, Write

IPython = pytest.importorskip("IPython")

EDITED = TWO.replace("k.n >= q.n", "k.n > q.n")


@pytest.fixture
def shell(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An IPython that remembers nothing and leaves `__main__` as it was."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    shell: Any = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    yield shell
    shell.restore_sys_module_state()
    InteractiveShell.clear_instance()


def run(shell: Any, cell: str) -> object:
    """The value of a cell, which must not fail."""
    result = shell.run_cell(cell)
    result.raise_error()
    return result.result


def edit(path: Path, text: str) -> None:
    """Change a file, at a time that no file system takes for the same."""
    before = path.stat().st_mtime_ns
    path.write_text(text)
    os.utime(path, ns=(before, before + 2_000_000_000))


def visible(shell: Any, name: str) -> object:
    return run(shell, f"int({name}.bind(4).mask().sum())")


def test_an_edited_file_is_current_in_the_next_cell(shell: Any, write: Write) -> None:
    file = write("noted.attn", TWO)
    run(shell, "%load_ext autoreload")
    run(shell, "%autoreload 2")
    run(shell, "import attndsl, noted\nfrom noted import future as mine")
    assert visible(shell, "noted.future") == 10
    edit(file, EDITED)
    assert visible(shell, "noted.future") == 6
    assert visible(shell, "mine") == 6


def test_a_file_with_a_mistake_is_reported_once_and_the_patterns_stay(
    shell: Any, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write("noted.attn", TWO)
    run(shell, "%load_ext autoreload")
    run(shell, "%autoreload 2")
    run(shell, "import attndsl, noted")
    edit(file, TWO.replace("k.n >=", "k.m >="))
    assert visible(shell, "noted.future") == 10
    report = capsys.readouterr().err
    assert report.startswith("[autoreload of noted failed]\nerror[A0203]: unknown axis `k.m`\n")
    assert visible(shell, "noted.future") == 10
    assert capsys.readouterr().err == ""
    edit(file, EDITED)
    assert visible(shell, "noted.future") == 6


def test_without_autoreload_nothing_changes_by_itself(shell: Any, write: Write) -> None:
    file = write("noted.attn", TWO)
    run(shell, "import attndsl, noted")
    edit(file, EDITED)
    assert visible(shell, "noted.future") == 10


def test_a_file_that_is_gone_leaves_its_module(shell: Any, write: Write) -> None:
    file = write("noted.attn", TWO)
    run(shell, "%load_ext autoreload")
    run(shell, "%autoreload 2")
    run(shell, "import attndsl, noted")
    file.unlink()
    assert visible(shell, "noted.future") == 10
