"""The README's table of GPU results, made from the newest file in `benchmarks/results`.

python -m benchmarks.gpu_table
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.gpu_files import newest
from benchmarks.gpu_results import FLEX, OURS, SDPA, GpuReport, GpuResult, Pass

START, END = "<!-- table: make gpu -->", "<!-- end of GPU table -->"
NOTHING = "Not yet measured on a GPU."
HEADINGS = (
    *("problem", "density", "tile speedup", "attndsl", "FlexAttention", "dense", "TFLOP/s"),
    *("vs. FlexAttention", "with backward", "share of tile speedup", "targets"),
)


def markdown(report: GpuReport | None) -> str:
    """One row per case, times in milliseconds, and a line that says where they were measured."""
    if report is None or not report.cases:
        return NOTHING
    rows = [HEADINGS, ("---",) + ("---:",) * (len(HEADINGS) - 2) + ("---",), *map(_row, report.cases)]
    where = report.environment
    caption = (
        f"Milliseconds of a forward pass in bfloat16, head dimension 128, on {where['device']}; the best of "
        f"each rival's options; TFLOP/s on visible pairs; torch {where['torch']}, triton {where['triton']}, "
        f"CUDA {where['cuda']}, {where['date']}, commit {where['commit']}."
    )
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), "", caption])


def _row(result: GpuResult) -> tuple[str, ...]:
    forward, share = result.passes["forward"], result.tile_share("forward")
    ours = forward.milliseconds.get(OURS)
    return (
        result.name,
        f"{result.density:.1%}",
        f"{result.tile_speedup:.1f}x",
        "failed" if ours is None else f"**{ours:.2f}**",
        *(_best(result, "forward", rival) for rival in (FLEX, SDPA)),
        "" if ours is None else f"{result.teraflops('forward', OURS):.0f}",
        _times(forward.speedup(FLEX)),
        _times(result.passes["training"].speedup(FLEX)),
        "" if share is None else f"{share:.0%}",
        "; ".join(map(str, result.targets())),
    )


def _best(result: GpuResult, kind: Pass, rival: str) -> str:
    found = result.passes[kind]
    name = found.best(rival)
    return "failed" if name is None else f"{found.milliseconds[name]:.2f}"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}x"


def in_readme(text: str, report: GpuReport | None) -> str:
    """The README's text with what is between its markers replaced."""
    before, rest = text.split(START, 1)
    return f"{before}{START}\n\n{markdown(report)}\n\n{END}{rest.split(END, 1)[1]}"


if __name__ == "__main__":
    readme = Path(__file__).parents[1] / "README.md"
    readme.write_text(in_readme(readme.read_text(encoding="utf-8"), newest()), encoding="utf-8")
