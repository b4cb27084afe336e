"""Progress of a longer command: headings and steps with their time; plain lines without a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table

Done = Callable[[str], None]


class Steps:
    """Prints to a console what happens, while it happens."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.count = 0

    def heading(self, text: str) -> None:
        """A numbered heading."""
        self.count += 1
        self.console.print(f"\n[bold]{self.count}. {escape(text)}[/bold]\n")

    @contextmanager
    def step(self, name: str) -> Iterator[Done]:
        """A step with a spinner while it runs; what it yields takes the result, printed with the time."""
        start = time.perf_counter()
        with self.console.status(f"{name} ..."):
            lines: list[str] = []
            yield lines.append
            seconds = time.perf_counter() - start
        self.console.print(
            f"   [green]{name:<9}[/green] [dim]{_spell(seconds):>8}[/dim]  {escape(' '.join(lines))}"
        )

    def source(self, text: str) -> None:
        """Text of the language, highlighted."""
        syntax = Syntax(
            text.rstrip("\n"), "python", theme="ansi_light", background_color="default", word_wrap=True
        )
        self.console.print(Padding(syntax, (0, 0, 0, 3), expand=False))

    def table(self, table: Table) -> None:
        """A table."""
        self.console.print()
        self.console.print(Padding(table, (0, 0, 0, 3), expand=False))

    def text(self, text: str) -> None:
        """Lines of text, as they are."""
        self.console.print(f"\n{text}" if self.count else text, markup=False, soft_wrap=True)

    def quote(self, text: str) -> None:
        """Output of another command."""
        self.console.print("\n".join(f"   {line}" for line in text.split("\n")), markup=False, soft_wrap=True)


def _spell(seconds: float) -> str:
    return f"{1e3 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
