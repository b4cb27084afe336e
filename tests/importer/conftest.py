"""A folder on sys.path in which tests write modules, and a cache of their own."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.importer.texts import Write
from tests.modules import forget_modules_below


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATTNDSL_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that Python imports from; what a test imported is forgotten after it."""
    path = tmp_path / "folder"
    path.mkdir()
    monkeypatch.syspath_prepend(path)
    yield path
    forget_modules_below(tmp_path)


@pytest.fixture
def write(folder: Path) -> Write:
    """Write a file of the folder; Python then looks at the folder anew."""

    def write_text(name: str, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        return path

    return write_text
