"""The README's benchmark table, made from the JSON that `make bench-cpu` writes.

python -m benchmarks.table benchmarks/measured/cpu.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.results import DENSE, OURS, CaseResult, Problem, Report, TrainingResult
from benchmarks.terminal import CALL_TARGET, COMPILE_TARGET, DENSITY_TARGET, LOAD_TARGET

START, END = "<!-- table: make bench-cpu -->", "<!-- end of table -->"
HEADINGS = (
    "forward",
    "type",
    "density",
    "attndsl",
    "FlexAttention",
    "dense",
    "vs. FlexAttention",
    "vs. dense",
    "target",
    "GFLOP/s",
    "of a matrix product",
)
TRAINING_HEADINGS = (
    "forward and backward",
    "type",
    "attndsl",
    "dense",
    "vs. dense",
    "target",
    "GFLOP/s",
    "of a matrix product",
)


def markdown(report: Report) -> str:
    """One row per case, times in milliseconds, and a line that says where they were measured."""
    where = report.environment
    caption = (
        "Milliseconds, batch 1, 4 heads of 64; GFLOP/s on the pairs of visited tiles; "
        f"{where['threads']} threads of {where['processor']}, {where['instructions']}; "
        f"torch {where['torch']}."
    )
    forward = _table(HEADINGS, 3, map(_row, report.cases))
    training = _table(TRAINING_HEADINGS, 2, map(_training_row, report.training))
    return "\n".join([*forward, "", *training, "", caption, "", _beyond_the_table(report)])


def _table(headings: tuple[str, ...], texts: int, rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Lines of a table whose first `texts` columns hold no numbers."""
    rule = ("---",) * texts + ("---:",) * (len(headings) - texts)
    return [f"| {' | '.join(row)} |" for row in (headings, rule, *rows)]


def _row(result: CaseResult) -> tuple[str, ...]:
    times = result.milliseconds
    rival = "dense" if result.rival == "sdpa" else "FlexAttention"
    return (
        _problem(result),
        result.dtype,
        f"{result.density:.1%}",
        f"**{times[OURS]:.1f}**",
        f"{times[result.flex]:.1f}",
        f"{times['sdpa']:.1f}",
        f"{result.speedups[result.flex]:.2f}x",
        f"{result.speedups['sdpa']:.2f}x",
        f"{result.target:g}x {rival}, {_verdict(result.ratio >= result.target)}",
        f"{result.gflops(OURS, result.computed_pairs[OURS]):.0f}",
        f"{result.product_gflops:.0f}",
    )


def _training_row(result: TrainingResult) -> tuple[str, ...]:
    times = result.milliseconds
    return (
        _problem(result),
        result.dtype,
        f"**{times[OURS]:.1f}**",
        f"{times[DENSE]:.1f}",
        f"{result.speedup:.2f}x",
        f"{result.target:g}x dense, {_verdict(result.speedup >= result.target)}",
        f"{result.gflops(result.computed_pairs):.0f}",
        f"{result.product_gflops:.0f}",
    )


def _verdict(reached: bool) -> str:
    return "reached" if reached else "missed"


def _beyond_the_table(report: Report) -> str:
    """Time against density, and what a kernel costs besides its work."""
    point = min(report.densities, key=lambda point: abs(point.tile_density - DENSITY_TARGET[0]))
    found = report.overheads
    return (
        f"At {point.tile_density:.1%} of the tiles of `full 4096` a kernel is {point.speedup:.1f}x as fast "
        f"(target {DENSITY_TARGET[1]:g}x at {DENSITY_TARGET[0]:.0%}). Compiling a kernel takes "
        f"{found.compile_seconds:.1f} s (target {COMPILE_TARGET:g}), loading it in a new process "
        f"{found.load_milliseconds:.0f} ms (target {LOAD_TARGET:g}), and a call "
        f"{found.call_microseconds:.0f} µs beyond the kernel's work (target {CALL_TARGET:g})."
    )


def _problem(result: Problem) -> str:
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
