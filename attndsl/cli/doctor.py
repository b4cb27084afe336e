"""`attndsl doctor`: what this machine has for attndsl, and what to do about what it lacks."""

from __future__ import annotations

from typing import Any

from attndsl.cli.options import Json
from attndsl.cli.output import console, print_json


def doctor(json: Json = False) -> None:
    """Report compiler, torch, triton, cores, vector width, GPUs and the cache folder."""
    from attndsl.cli.machine import facts

    found = facts()
    if json:
        print_json(found)
    else:
        _print(found)


def rows(found: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Names and values for readers; None for what is missing."""
    compiler, vectors, torch, cache = found["compiler"], found["vectors"], found["torch"], found["cache"]
    return [
        ("attndsl", f"{found['attndsl']}, Python {found['python']}, {found['platform']}"),
        ("cores", str(found["cores"])),
        ("compiler", compiler and f"{compiler['version']} ({compiler['command']})"),
        ("vectors", vectors and _vectors(vectors)),
        ("torch", torch and f"{torch['version']}, {torch['threads']} threads"),
        ("triton", found["triton"]),
        ("GPUs", ", ".join(found["gpus"]) or None),
        ("cache", f"{cache['folder']}: {cache['kernels']} kernels, {cache['bytes'] / 1e6:.1f} MB"),
    ]


def _vectors(vectors: dict[str, Any]) -> str:
    matrix = f", and {vectors['matrix']} matrix instructions" if vectors["matrix"] else ""
    return f"{vectors['name']}, {vectors['bits']} bits{matrix}"


def _print(found: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    for name, value in rows(found):
        table.add_row(name, Text(value) if value else Text("none", style="dim"))
    out = console()
    out.print(table)
    out.print()
    for line in found["advice"]:
        out.print(f"[yellow]advice[/yellow]  {line}")
    if not found["advice"]:
        out.print("[green]everything that runs on the CPU is here[/green]")
