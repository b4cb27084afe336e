"""Reading files: what is wrong with a path or its content is an error with a code, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from attndsl.diagnostics import AttnFileError
from attndsl.syntax.files import LARGEST_FILE, read_source


def error_of(path: Path | str) -> AttnFileError:
    with pytest.raises(AttnFileError) as caught:
        read_source(path)
    assert caught.value.help
    return caught.value


def test_a_source_has_the_name_that_the_user_gave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my.attn").write_bytes("\ufeff# é\r\n".encode())
    monkeypatch.chdir(tmp_path)
    source = read_source("my.attn")
    assert (source.name, source.text) == ("my.attn", "# é\r\n")


def test_no_file(tmp_path: Path) -> None:
    assert error_of(tmp_path / "none.attn").code == "A0801"


def test_no_file_of_an_empty_path() -> None:
    assert error_of("").code == "A0801"


def test_a_missing_file_is_likely_the_one_beside_it(tmp_path: Path) -> None:
    (tmp_path / "local.attn").touch()
    assert error_of(tmp_path / "locl.attn").help == f"did you mean `{tmp_path / 'local.attn'}`?"
    assert error_of(tmp_path / "other.attn").help == "check the path"
    assert error_of(tmp_path / "nowhere" / "local.attn").help == "check the path"


def test_a_directory(tmp_path: Path) -> None:
    assert error_of(tmp_path).code == "A0802"


@pytest.mark.parametrize("path", ["a\0b", "a" * 5000, "setup.py/my.attn"])
def test_a_path_that_cannot_be_opened(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "setup.py").touch()
    assert error_of(path).code == "A0803"


def test_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "my.attn").write_bytes("# one\n# é\n".encode("latin-1"))
    error = error_of(tmp_path / "my.attn")
    assert error.code == "A0804"
    assert "line 2" in error.render()


def test_a_large_file(tmp_path: Path) -> None:
    (tmp_path / "my.attn").write_bytes(b"#" * (LARGEST_FILE + 1))
    assert error_of(tmp_path / "my.attn").code == "A0805"


def test_an_endless_file() -> None:
    assert error_of("/dev/zero").code == "A0805"
