"""Patterns by name: of the library, of a file, of a file of several patterns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import attndsl
from attndsl.diagnostics import AttnFileError
from attndsl.named_pattern import find_pattern

ONE = "pattern one:\n    space tokens(n)\n    attend causal\n"
TWO = ONE + "\npattern two(left: int):\n    space tokens(n)\n    attend sliding(left)\n"


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str, name: str = "my.attn") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_a_library_name() -> None:
    assert find_pattern("gna") == attndsl.pattern("gna")


def test_a_file_with_one_pattern(file: Callable[[str], str]) -> None:
    path = file(ONE)
    assert find_pattern(path).name == "one"
    assert find_pattern(f"{path}:one").name == "one"


def test_a_file_with_several_patterns(file: Callable[[str], str]) -> None:
    assert find_pattern(f"{file(TWO)}:two").name == "two"


def test_a_file_with_another_suffix(file: Callable[..., str]) -> None:
    assert find_pattern(file(ONE, "my.txt")).name == "one"


@pytest.mark.parametrize(
    ("suffix", "message"), [("", "defines 2 patterns"), (":three", "has no pattern `three`")]
)
def test_a_file_with_several_patterns_needs_a_name(
    file: Callable[[str], str], suffix: str, message: str
) -> None:
    path = file(TWO)
    with pytest.raises(AttnFileError, match="A0807") as caught:
        find_pattern(path + suffix)
    assert message in caught.value.message
    assert caught.value.help == f"name one of them: {path}:one, {path}:two"


@pytest.mark.parametrize("name", ["no.attn", "folder/no.attn", "no.attn:one"])
def test_a_missing_file(name: str) -> None:
    with pytest.raises(AttnFileError, match="A0801"):
        find_pattern(name)
