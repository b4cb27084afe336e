"""The README's benchmark table, made from the JSON that `make bench-cpu` writes.

python -m benchmarks.table benchmarks/measured/cpu.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.results import OURS, CaseResult, Report

START, END = "<!-- table: make bench-cpu -->", "<!-- end of table -->"
HEADINGS = (
    "problem",
    "type",
    "density",
    "attndsl",
    "FlexAttention",
    "dense",
    "vs. FlexAttention",
    "vs. dense",
)


def markdown(report: Report) -> str:
    """One row per case, times in milliseconds, and a line that says where they were measured."""
    rows = [HEADINGS, ("---",) * 3 + ("---:",) * (len(HEADINGS) - 3), *map(_row, report.cases)]
    where = report.environment
    caption = (
        f"Milliseconds of a forward pass, batch 1, 4 heads of 64; {where['threads']} threads of "
        f"{where['processor']}, {where['instructions']}; torch {where['torch']}."
    )
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), "", caption])


def _row(result: CaseResult) -> tuple[str, ...]:
    times = result.milliseconds
    return (
        _problem(result),
        result.dtype,
        f"{result.density:.1%}",
        f"**{times[OURS]:.1f}**",
        f"{times[result.flex]:.1f}",
        f"{times['sdpa']:.1f}",
        f"{result.speedups[result.flex]:.1f}x",
        f"{result.speedups['sdpa']:.1f}x",
    )


def _problem(result: CaseResult) -> str:
    """The pattern with its numbers, as `gna 64x64, window 13x13`."""
    numbers = [f"{name} {_extents(value)}" for name, value in result.parameters.items()]
    return ", ".join([f"{result.pattern} {_extents(result.shape)}", *numbers])


def _extents(value: object) -> str:
    return "x".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def in_readme(text: str, report: Report) -> str:
    """The README's text with the table between its markers replaced."""
    before, rest = text.split(START, 1)
    return f"{before}{START}\n\n{markdown(report)}\n\n{END}{rest.split(END, 1)[1]}"


def read(path: Path) -> Report:
    """The report in a file of results."""
    return Report.from_json(json.loads(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    readme = Path(__file__).parents[1] / "README.md"
    readme.write_text(
        in_readme(readme.read_text(encoding="utf-8"), read(Path(sys.argv[1]))), encoding="utf-8"
    )
