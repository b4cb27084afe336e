"""Exit codes: 1 for wrong patterns and data, 2 for wrong usage; never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["show", "gnaa", "--shape", "8,8"], "A0811"),
        (["show", "gna"], "A0401"),
        (["show", "gna", "--shape", "8,8"], "A0401"),
        (["show", "gna", "--shape", "8,8", "--set", "windw=3"], "A0402"),
        (["show", "gna", "--shape", "8,8", "--set", "window=x"], "A0403"),
        (["show", "gna", "--shape", "8,8", "--set", "window=3,3,3"], "A0404"),
        (["show", "causal", "--shape", "8,8"], "A0405"),
        (["show", "causal", "--shape", "0"], "A0406"),
        (["show", "causal", "--shape", "8", "--heads", "6", "--kv-heads", "4"], "A0407"),
        (["show", "causal", "--shape", "8", "--key-shape", "9"], "A0409"),
        (["show", "gna", "--shape", "8,8", "--set", "window=9"], "A0410"),
        (["show", "document", "--shape", "8"], "A0611"),
        (["show", "document", "--shape", "8", "--set", "doc=0,1"], "A0612"),
        (["show", "causal", "--shape", "8", "--head", "1"], "A0561"),
        (["show", "causal", "--shape", "8", "-o", "a.jpeg"], "A0808"),
        (["show", "gna", "--shape", "8,8", "--set", "window=3", "--query", "8,0", "-o", "a.png"], "A0560"),
        (["compile", "gna", "--target", "sm90"], "A0401"),
        (["compile", "causal", "--shape", "8", "--target", "triton", "--emit", "asm"], "A0720"),
        (["compile", "gna", "--target", "reference"], "A0721"),
        (["compile", "causal", "--shape", "8", "--dtype", "fp64"], "A0704"),
        (["check", "no-such-file.attn"], "A0801"),
        (["check", "."], "A0802"),
        (["simulate", "causal", "--shape", "8", "--device", "b20"], "A0550"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_wrong_patterns_and_data(refuse: Callable[..., str], words: list[str], code: str) -> None:
    assert refuse(*words).startswith(f"error[{code}]: ")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["shwo"],
        ["show"],
        ["show", "causal", "--shape", "8,x"],
        ["show", "causal", "--shape", ""],
        ["show", "causal", "--set", "window"],
        ["show", "causal", "--shape", "8", "--heads", "many"],
        ["show", "causal", "--colour", "red"],
        ["compile", "causal", "--target", "sm1"],
        ["compile", "causal", "--emit", "llvm"],
        ["compile", "causal", "--dtype", "int8"],
        ["compile", "causal", "--head-dim", "0"],
        ["compile", "causal", "--head-dim", "1000000"],
        ["bench", "causal", "--rounds", "0"],
    ],
    ids=" ".join,
)
def test_wrong_usage(run: Callable[..., Any], words: list[str]) -> None:
    outcome = run(*words)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("command", ["show", "explain", "compile", "simulate", "bench"])
def test_all_commands_take_the_shared_options(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    words = (
        "gna --shape 8,8 --heads 2 --kv-heads 1 --set window=4 --set stride=2,2 --head-dim 16 --dtype bf16"
    )
    assert run(command, *words.split()).code == 0


@pytest.mark.parametrize("output", ["", "no/such/folder/a.png"])
def test_an_output_that_cannot_be_written(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, output: str
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run("compile", "causal", "--emit", "ir", "-o", output)
    assert outcome.code == 1
    assert outcome.err.startswith("error[A0810]: ")
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_a_link(run: Callable[..., Any], tmp_path: Path) -> None:
    target, link = tmp_path / "target.txt", tmp_path / "link.txt"
    link.symlink_to(target)
    for _ in range(2):
        assert run("compile", "causal", "--emit", "ir", "-o", link).code == 0
    assert link.is_symlink()
    assert target.read_text().startswith("pattern causal")


def test_a_directory_is_no_output(refuse: Callable[..., str], tmp_path: Path) -> None:
    assert "A0810" in refuse("compile", "causal", "--emit", "ir", "-o", tmp_path)


def test_a_write_that_fails_leaves_nothing_behind(
    refuse: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    assert "No space left on device" in refuse("compile", "causal", "--emit", "ir", "-o", tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_picture_leaves_the_old_one(run: Callable[..., Any], tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b"old")
    run("show", "causal", "--shape", "8", "--q-tile", "4", "--kv-tile", "4", "--head", "7", "-o", picture)
    assert picture.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
