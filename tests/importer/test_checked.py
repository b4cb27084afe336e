"""What a text means is kept in the cache: read back it is the same, and damage is never believed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from attndsl import library
from attndsl.diagnostics import AttnError
from attndsl.importer import checked
from attndsl.importer.checked import CheckedFile, check
from attndsl.ir.stored import to_json
from attndsl.source import Source
from tests.importer.texts import LOCAL, TWO

SOURCE = Source("local.attn", LOCAL)


def entries(cache: Path) -> list[Path]:
    return sorted((cache / "imports").glob("*"))


@pytest.fixture(autouse=True)
def settled_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody edits the compiler while these tests run."""
    monkeypatch.setattr(checked, "_stage_files", lambda: [("resolve.py", 1, 1)])


@pytest.fixture
def no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nothing can be parsed."""

    def refuse(tree: object) -> None:
        raise AssertionError("parsed again")

    monkeypatch.setattr(library, "resolve_tree", refuse)


@pytest.fixture
def first(cache: Path) -> CheckedFile:
    return check(SOURCE)


def test_the_second_time_nothing_is_parsed(first: CheckedFile, no_parser: None) -> None:
    again = check(SOURCE)
    assert again == first
    assert again.patterns[0].spans == first.patterns[0].spans


def test_the_file_may_have_another_name(first: CheckedFile, no_parser: None) -> None:
    requirement = check(Source("elsewhere.attn", LOCAL)).patterns[0].requirements[0]
    assert requirement.span is not None
    assert str(requirement.span).startswith("elsewhere.attn:6:")


def test_another_text_is_another_entry(first: CheckedFile) -> None:
    assert len(check(Source("local.attn", TWO)).patterns) == 2


def test_another_compiler_has_entries_of_its_own(
    first: CheckedFile, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked, "__version__", "0.0.0")
    assert check(SOURCE) == first
    assert len(entries(cache)) == 2


def test_a_compiler_that_was_edited_while_it_ran_keeps_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked, "LOADED_AT", 0)
    assert [each.name for each in check(SOURCE).patterns] == ["local"]
    assert entries(cache) == []


def test_a_mistake_is_found_every_time(cache: Path) -> None:
    for _ in range(2):
        with pytest.raises(AttnError, match="A0131"):
            check(Source("broken.attn", "pattern p"))
    assert entries(cache) == []


@pytest.mark.parametrize("length", [0, 1, 64, 65, 66, 500])
def test_a_truncated_entry_is_written_anew(first: CheckedFile, cache: Path, length: int) -> None:
    (entry,) = entries(cache)
    whole = entry.read_bytes()
    entry.write_bytes(whole[:length])
    assert check(SOURCE) == first
    assert entry.read_bytes() == whole


@pytest.mark.parametrize(
    "text",
    [
        to_json(("", ()), ())[:-1],
        to_json("a text", ()),
        to_json(("", (None,)), ()),
        '[[["os.system","true"]],null]',
        '[[["Const",1]],[{"e":7}]]',
        '[[],{"s":[9,0,1]}]',
        "null",
    ],
)
def test_a_foreign_entry_is_not_believed(first: CheckedFile, cache: Path, text: str) -> None:
    (entry,) = entries(cache)
    entry.write_bytes(checked._digest(entry, text.encode()) + b"\n" + text.encode())
    assert check(SOURCE) == first


def test_an_entry_does_not_stand_for_another(first: CheckedFile, cache: Path) -> None:
    (mine,) = entries(cache)
    check(Source("two.attn", TWO))
    (other,) = set(entries(cache)) - {mine}
    mine.write_bytes(other.read_bytes())
    assert check(SOURCE) == first


def test_no_folder_for_the_cache_costs_only_time(cache: Path) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_text("a file where the folder would be")
    assert [each.name for each in check(SOURCE).patterns] == ["local"]


def test_nothing_is_left_beside_an_entry(first: CheckedFile, cache: Path) -> None:
    assert [entry.suffix for entry in entries(cache)] == [".json"]


def test_a_process_that_finds_everything_in_the_cache_loads_no_parser(tmp_path: Path) -> None:
    (tmp_path / "local.attn").write_text(LOCAL)
    probe = "import attndsl, sys, local; print('lark' in sys.modules, 'attndsl.syntax.ast' in sys.modules)"
    runs = [
        subprocess.run([sys.executable, "-c", probe], cwd=tmp_path, capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    assert runs == ["True True\n", "False False\n"]
