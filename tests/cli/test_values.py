"""`--set name=value`: text becomes what the pattern declares, or an error that names the mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

import attndsl
from attndsl.cli.values import parse_settings, split_settings
from attndsl.diagnostics import AttnBindError, AttnFileError
from attndsl.ir.pattern import PatternIR

TEXT = """
pattern p(size: int, sides: int[axes] = 1, share: real = 0.5, shares: real[heads] = 0.5,
          causal: bool[axes] = false):
    space video(t, h) ++ text(n)
    input doc: int[tokens]
    attend true
"""


def pattern() -> PatternIR:
    found = attndsl.parse(TEXT)
    assert isinstance(found, attndsl.Pattern)
    return found.ir


def value(setting: str) -> Any:
    (result,) = parse_settings(pattern(), split_settings([setting])).values()
    return result


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("size=8", 8),
        ("size = -8 ", -8),
        ("size=1_000", 1000),
        ("sides=3,4", (3, 4)),
        ("sides=3", 3),
        ("share=1", 1.0),
        ("share=1e-3", 0.001),
        ("shares=0.5,-2", (0.5, -2.0)),
        ("causal=true,false", (True, False)),
        ("text=16", 16),
        ("doc=0,0,1", (0, 0, 1)),
        ("unknown=any text", "any text"),
    ],
)
def test_a_value_has_the_declared_type(setting: str, expected: object) -> None:
    assert value(setting) == expected
    assert type(value(setting)) is type(expected)


@pytest.mark.parametrize(
    ("setting", "message", "help"),
    [
        ("size=3.5", "`size` must be an integer", "write --set size=8"),
        ("size=", "`size` must be an integer", "write --set size=8"),
        ("sides=3,x", "`sides` must be an integer", "write --set sides=8"),
        ("share=half", "`share` must be a number", "write --set share=0.5"),
        ("causal=True", "`causal` must be true or false", "write --set causal=true"),
        ("text=many", "`text` must be an integer", "write --set text=8"),
    ],
)
def test_a_wrong_value_is_refused(setting: str, message: str, help: str) -> None:
    with pytest.raises(AttnBindError) as caught:
        value(setting)
    assert (caught.value.code, caught.value.message, caught.value.help) == ("A0403", message, help)


@pytest.mark.parametrize("setting", ["size", "=8", "", "  =8"])
def test_a_setting_without_name_or_value_is_wrong_usage(setting: str) -> None:
    with pytest.raises(typer.BadParameter, match="name=value"):
        split_settings([setting])


def test_a_name_set_twice_is_wrong_usage() -> None:
    with pytest.raises(typer.BadParameter, match="twice"):
        split_settings(["size=1", "size=2"])


def test_arrays_come_from_json_files(tmp_path: Path) -> None:
    (tmp_path / "doc.json").write_text("[0, 0, 1]")
    assert value(f"doc=@{tmp_path / 'doc.json'}") == [0, 0, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"[1, 2", "is not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "doc.json").write_bytes(content)
    with pytest.raises(AttnFileError, match="A0809") as caught:
        value(f"doc=@{tmp_path / 'doc.json'}")
    assert message in caught.value.message


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_an_endless_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attndsl.cli.values.LARGEST_FILE", 1000)
    with pytest.raises(AttnFileError, match="A0809"):
        value("doc=@/dev/zero")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(AttnFileError, match="A0809"):
        value(f"doc=@{tmp_path}")
