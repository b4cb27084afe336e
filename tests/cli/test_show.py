"""`attndsl show PATTERN`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PNG = b"\x89PNG\r\n\x1a\n"
GNA = ("show", "gna", "--shape", "12,12", "--set", "window=5,5")


def test_the_picture_is_written_where_asked(run: Callable[..., Any], tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    outcome = run(*GNA, "-o", picture)
    assert (outcome.code, outcome.out) == (0, f"wrote {picture}\n")
    assert picture.read_bytes().startswith(PNG)


def test_the_default_file_is_named_after_the_pattern(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*GNA).out == "wrote gna_w5x5.png\n"
    assert (tmp_path / "gna_w5x5.png").exists()


def test_a_vector_picture_names_the_query(run: Callable[..., Any], tmp_path: Path) -> None:
    picture = tmp_path / "a.svg"
    assert run(*GNA, "-o", picture, "--query", "3,4").code == 0
    assert picture.read_text().startswith("<?xml")


def test_inputs_come_from_a_file(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "doc.json").write_text(json.dumps([0] * 20 + [1] * 44))
    words = ("show", "document", "--shape", "64", "--set", f"doc=@{tmp_path / 'doc.json'}")
    assert run(*words, "-o", tmp_path / "a.png").code == 0


def test_each_head_has_its_picture(run: Callable[..., Any], tmp_path: Path) -> None:
    words = ("show", "cswin", "--shape", "8,8", "--heads", "4", "--set", "stripe=2")
    for head in (0, 3):
        assert run(*words, "--head", head, "-o", tmp_path / f"{head}.png").code == 0
    assert (tmp_path / "0.png").read_bytes() != (tmp_path / "3.png").read_bytes()
