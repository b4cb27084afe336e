"""docs/errors.md lists every code, and is what scripts/error_pages.py writes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "error_pages.py"

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="needs the source tree")


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("error_pages", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date() -> None:
    page = (SCRIPT.parents[1] / "docs" / "errors.md").read_text(encoding="utf-8")
    assert page == script().page(), "run: python scripts/error_pages.py"


def test_every_example_shows_a_code_that_the_source_raises() -> None:
    source = SCRIPT.parents[1]
    text = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("attndsl", "codegen", "grammar")
        for path in (source / folder).rglob("*.py")
    )
    assert {code for code in script().examples() if f'"{code}"' not in text} == set()
