"""GPU kernels beside what users have today: FlexAttention compiled for each mask, and dense attention.

    python -m benchmarks.gpu [--minutes N] [--tune] [--only CASE ...] [--output FOLDER]
    TRITON_INTERPRET=1 python -m benchmarks.gpu --smoke

All contenders of a case run in one process on the same tensors, taking turns, after their results were
compared. Times are medians by the GPU's own clock. Results are written after every case, to
`benchmarks/results/<gpu>-<date>.json`; a second run on the same day, machine and commit goes on where the
first one stopped. `--smoke` runs small cases, on a GPU or in Triton's interpreter.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.gpu_cases import GpuCase
from benchmarks.gpu_environment import gpu_environment
from benchmarks.gpu_files import file_of, resumed, save
from benchmarks.gpu_measure import measure
from benchmarks.gpu_results import OURS, GpuReport
from benchmarks.gpu_routed import CASES
from benchmarks.gpu_smoke import SMOKE
from benchmarks.gpu_terminal import result_table
from benchmarks.terminal import environment_lines

SECONDS, SMOKE_SECONDS = 8.0, 0.0
"""For the timed calls of a case, in each pass."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, help="begin no case after so many minutes")
    parser.add_argument(
        "--tune", action="store_true", help="time candidates of attndsl and FlexAttention first (slow)"
    )
    parser.add_argument("--only", nargs="+", metavar="CASE", help=", ".join(case.name for case in CASES))
    parser.add_argument("--without", nargs="+", default=[], metavar="CONTENDER", help="leave contenders out")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: benchmarks/results")
    parser.add_argument("--smoke", action="store_true", help="small cases; kept only with --output")
    return parser.parse_args()


def main() -> None:
    """Measures, prints tables, writes results. Exits with 1 where attndsl has no time, or a wrong result."""
    given = arguments()
    if not torch.cuda.is_available() and not given.smoke:
        raise SystemExit("there is no GPU; with TRITON_INTERPRET=1 and --smoke small cases run on the CPU")
    chosen = [case for case in (SMOKE if given.smoke else CASES) if case.name in (given.only or [case.name])]
    file = None if given.smoke and not given.output else file_of(given.output)
    report = resumed(file, gpu_environment()) if file else GpuReport(gpu_environment())
    run(chosen, report, file, given)
    failed = [case.name for case in report.cases for each in case.passes.values() if OURS in each.failures]
    if failed:
        raise SystemExit(f"{OURS} failed: {', '.join(dict.fromkeys(failed))}")


def run(cases: list[GpuCase], report: GpuReport, file: Path | None, given: argparse.Namespace) -> None:
    """Measures the cases that the report lacks, as long as there is time."""
    console = Console()
    console.print(environment_lines(report.environment))
    begin = time.monotonic()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    known = {case.name for case in report.cases}
    for case in cases:
        if given.minutes is not None and time.monotonic() - begin > 60 * given.minutes:
            console.print(f"{given.minutes:g} minutes are over: {case.name} and what follows is left out")
            return
        if case.name not in known:
            seconds = SMOKE_SECONDS if given.smoke else SECONDS
            with console.status(f"{case.name}: compiling, comparing, timing"):
                result = measure(case, device, given.tune, seconds, given.without)
            report.cases.append(result)
            if file:
                save(report, file)
            console.print(result_table(result))


if __name__ == "__main__":
    main()
