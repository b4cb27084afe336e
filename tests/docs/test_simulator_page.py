"""docs/simulator.md has the table of published and predicted times that scripts/simulator_table writes."""

from __future__ import annotations

from scripts.simulator_table import PAGE, filled


def test_the_page_is_current() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == filled(page), "run: make docs"
