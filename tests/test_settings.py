"""Settings come from the environment at the moment they are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from attndsl.settings import settings, table

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("ATTNDSL_CACHE_DIR", "ATTNDSL_DUMP_DIR", "ATTNDSL_LOGS", "CXX", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)


def test_defaults() -> None:
    now = settings()
    assert now.cache_dir.name == "attndsl"
    assert now.dump_dir is None
    assert now.logs == frozenset()
    assert now.compiler is None


def test_the_cache_follows_its_own_variable_before_the_desktop_standard(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert settings().cache_dir == tmp_path / "attndsl"
    monkeypatch.setenv("ATTNDSL_CACHE_DIR", str(tmp_path / "own"))
    assert settings().cache_dir == tmp_path / "own"


def test_asking_for_the_settings_makes_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ATTNDSL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("ATTNDSL_DUMP_DIR", str(tmp_path / "dump"))
    settings()
    assert list(tmp_path.iterdir()) == []


def test_a_home_folder_is_written_as_a_shell_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNDSL_DUMP_DIR", "~/dump")
    assert settings().dump_dir == Path.home() / "dump"


def test_logs_name_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNDSL_LOGS", "cache, schedule,")
    assert settings().logs == {"cache", "schedule"}


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("ATTNDSL_CACHE_DIR", "ATTNDSL_DUMP_DIR", "ATTNDSL_LOGS", "CXX"):
        monkeypatch.setenv(variable, "")
    now = settings()
    assert (now.cache_dir.name, now.dump_dir, now.logs, now.compiler) == ("attndsl", None, frozenset(), None)


def test_the_documentation_has_the_same_table() -> None:
    assert table() in (ROOT / "docs" / "settings.md").read_text()
