"""`attndsl check FILE`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GOOD = """pattern local(left: int, right: int = 0):
    space tokens(n)
    input doc: int[tokens]
    attend sliding(left, right) and doc[q] == doc[k]
"""
BAD = GOOD.replace("sliding", "slidding")


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        (tmp_path / "my.attn").write_text(text)
        return str(tmp_path / "my.attn")

    return write


def test_a_good_file(run: Callable[..., Any], file: Callable[[str], str]) -> None:
    path = file(GOOD)
    outcome = run("check", path)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        f"ok  {path}: 1 pattern",
        "    local(left: int, right?: int)",
        "        space tokens(n)",
        "        input doc",
    ]


def test_a_bad_file(refuse: Callable[..., str], file: Callable[[str], str]) -> None:
    path = file(BAD)
    lines = refuse("check", path).splitlines()
    assert lines[0] == "error[A0201]: unknown function `slidding`"
    assert lines[1].endswith(f"--> {path}:4:12")
    assert lines[-1] == "help: did you mean `sliding`?"


def test_a_name_of_the_library_is_no_file(refuse: Callable[..., str]) -> None:
    assert refuse("check", "gna").splitlines() == [
        "error[A0801]: there is no file `gna`",
        "help: `gna` is a pattern of the library: see attndsl compile gna --emit ir",
    ]


def test_json_of_a_good_file(run: Callable[..., Any], file: Callable[[str], str]) -> None:
    result = json.loads(run("check", file(GOOD), "--json").out)
    assert result["ok"] is True
    assert [each["name"] for each in result["patterns"]] == ["local"]


def test_json_of_a_bad_file_is_for_editors(run: Callable[..., Any], file: Callable[[str], str]) -> None:
    path = file(BAD)
    outcome = run("check", path, "--json")
    assert outcome.code == 1
    assert json.loads(outcome.out) == {
        "file": path,
        "ok": False,
        "patterns": [],
        "error": {
            "code": "A0201",
            "message": "unknown function `slidding`",
            "note": "not defined",
            "help": "did you mean `sliding`?",
            "file": path,
            "line": 4,
            "column": 12,
            "end_column": 33,
        },
    }


def test_json_of_a_missing_file_has_no_place(run: Callable[..., Any], tmp_path: Path) -> None:
    error = json.loads(run("check", tmp_path / "no.attn", "--json").out)["error"]
    assert (error["code"], error["file"], error["line"]) == ("A0801", None, None)


def test_a_file_without_patterns(run: Callable[..., Any], file: Callable[[str], str]) -> None:
    outcome = run("check", file("def near(query, key):\n    return query == key\n"))
    assert outcome.code == 0
    assert outcome.out.strip().endswith("no pattern")
