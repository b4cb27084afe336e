"""The reference of the language lists the prelude's functions as scripts/prelude_table writes them."""

from __future__ import annotations

from attndsl import library
from scripts.prelude_table import END, PAGE, START, filled, table


def test_the_table_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == filled(page), "run: make docs"


def test_a_row_shows_how_a_function_is_called_and_what_it_means() -> None:
    assert "| `sliding(left, right = 0)` | A band around the diagonal: " in table()


def test_every_function_has_a_row() -> None:
    assert table().count("\n") == 1 + len(library.prelude())


def test_what_stands_around_the_table_is_kept() -> None:
    written = filled(f"before\n{START}\nold\n{END}\nafter\n")
    assert written.startswith(f"before\n{START}\n\n| function |")
    assert written.endswith(f"|\n\n{END}\nafter\n")
