"""`attndsl stubs [PATHS]`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.importer.texts import BROKEN, LOCAL, TWO


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATTNDSL_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "folder"
    (path / "pkg").mkdir(parents=True)
    (path / "pkg" / "local.attn").write_text(LOCAL)
    monkeypatch.chdir(path)
    return path


def test_the_working_folder_is_searched(run: Callable[..., Any], folder: Path) -> None:
    for ignored in (".hidden", "site-packages", "environment"):
        (folder / ignored).mkdir()
        (folder / ignored / "two.attn").write_text(TWO)
    (folder / "environment" / "pyvenv.cfg").touch()
    outcome = run("stubs")
    assert (outcome.code, outcome.out) == (0, "wrote pkg/local.pyi\n")
    assert [path.name for path in folder.rglob("*.pyi")] == ["local.pyi"]


def test_files_and_folders_may_be_named(run: Callable[..., Any], folder: Path) -> None:
    (folder / "two.attn").write_text(TWO)
    assert run("stubs", "two.attn", "pkg").out == "wrote two.pyi\nwrote pkg/local.pyi\n"


def test_what_is_current_is_not_written_again(run: Callable[..., Any]) -> None:
    run("stubs")
    assert run("stubs").out == ""


def test_check_writes_nothing_and_refuses_stale_stubs(
    run: Callable[..., Any], refuse: Callable[..., str], golden: Callable[[str, str], None], folder: Path
) -> None:
    golden("errors/stub_is_stale.txt", refuse("stubs", "--check"))
    assert list(folder.rglob("*.pyi")) == []
    run("stubs")
    assert run("stubs", "--check").code == 0


def test_a_stub_that_somebody_else_wrote_is_kept(
    refuse: Callable[..., str], golden: Callable[[str, str], None], folder: Path
) -> None:
    (folder / "pkg" / "local.pyi").write_text("local: int\n")
    golden("errors/stub_of_somebody_else.txt", refuse("stubs"))
    assert (folder / "pkg" / "local.pyi").read_text() == "local: int\n"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("my-file.attn", "Python cannot import a file of this name"),
        ("my.text", "Python cannot import a file of this name"),
        ("shadowed.attn", "Python imports shadowed.py in its place"),
    ],
)
def test_what_python_does_not_import_gets_none(
    run: Callable[..., Any], folder: Path, name: str, reason: str
) -> None:
    (folder / name).write_text(LOCAL)
    (folder / "shadowed.py").touch()
    outcome = run("stubs", name)
    assert (outcome.code, outcome.out) == (0, f"skipped {name}: {reason}\n")


def test_a_file_without_patterns_gets_none(run: Callable[..., Any], folder: Path) -> None:
    (folder / "functions.attn").write_text("def near(x):\n    return x < 3\n")
    assert "skipped functions.attn: it defines no pattern" in run("stubs").out


def test_mistakes_are_diagnosed(refuse: Callable[..., str], folder: Path) -> None:
    (folder / "broken.attn").write_text(BROKEN)
    assert refuse("stubs").startswith(
        "error[A0201]: unknown function `neighbourhood`\n  --> broken.attn:6:12"
    )
    assert refuse("stubs", "missing.attn").startswith("error[A0801]")
