"""The files of GPU results: one for each GPU and day, written anew after every case."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict
from datetime import date
from pathlib import Path

from benchmarks.gpu_environment import device_name
from benchmarks.gpu_results import GpuReport

RESULTS = Path(__file__).parent / "results"


def file_of(folder: Path | None) -> Path:
    """Where this GPU's results of this day belong, as in `nvidia-h200-2026-01-31.json`."""
    name = re.sub(r"[^a-z0-9]+", "-", device_name().lower()).strip("-")
    return (folder or RESULTS) / f"{name}-{date.today().isoformat()}.json"


def resumed(file: Path, environment: dict[str, str]) -> GpuReport:
    """The report in a file, to go on with, if it was made in the same environment; else an empty one."""
    known = read(file) if file.exists() else None
    return known if known and known.environment == environment else GpuReport(environment)


def save(report: GpuReport, file: Path) -> None:
    """Write a report, so that the file is whole at any moment."""
    file.parent.mkdir(parents=True, exist_ok=True)
    work = file.with_suffix(".part")
    work.write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")
    os.replace(work, file)


def read(file: Path) -> GpuReport:
    """The report in a file."""
    return GpuReport.from_json(json.loads(file.read_text(encoding="utf-8")))


def newest(folder: Path = RESULTS) -> GpuReport | None:
    """The report of the latest day; None where nothing was measured."""
    reports = [read(file) for file in sorted(folder.glob("*.json"))]
    return max(reports, key=lambda report: report.environment["date"], default=None)
