"""GPU results: rates, targets, the JSON round trip, and the README's table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.environment import ROOT
from benchmarks.gpu_files import newest, read, save
from benchmarks.gpu_results import GpuReport, GpuResult, PassResult
from benchmarks.gpu_table import NOTHING, in_readme, markdown

FORWARD = PassResult(
    {"attndsl": 2.0, "attndsl-dense": 10.0, "flex": 6.0, "flex-64": 5.0, "sdpa-flash": 8.0},
    {"attndsl-dense": 5.0, "flex": 3.0, "flex-64": 2.5, "sdpa-flash": 4.0},
    {"sdpa-cudnn": "out of memory"},
)
TRAINING = PassResult({"attndsl": 7.0, "flex": 7.7}, {"flex": 1.1})
RESULT = GpuResult(
    name="window",
    kind="line",
    pattern="sliding_window",
    numbers={"shape": 1000, "heads": 2},
    batch=1,
    heads=2,
    head_dim=100,
    tokens=1000,
    dtype="bfloat16",
    density=0.1,
    tile_speedup=6.0,
    q_tile=(128,),
    kv_tile=(64,),
    largest_error=0.01,
    passes={"forward": FORWARD, "training": TRAINING},
)
ENVIRONMENT = {
    "device": "a GPU",
    "date": "2026-01-02",
    "commit": "abc",
    "torch": "2.13",
    "triton": "3.6",
    "cuda": "13",
}
REPORT = GpuReport(ENVIRONMENT, [RESULT])


def test_the_best_of_a_rivals_options_counts() -> None:
    assert FORWARD.best("flex") == "flex-64"
    assert FORWARD.speedup("flex") == 2.5
    assert FORWARD.speedup("sdpa") == 4.0
    assert TRAINING.speedup("sdpa") is None


def test_rates_count_visible_pairs() -> None:
    pairs = 2 * 1000 * 1000 * 0.1
    assert RESULT.teraflops("forward", "attndsl") == pytest.approx(4 * 100 * pairs / 2e-3 / 1e12)
    assert RESULT.teraflops("training", "attndsl") == pytest.approx(14 * 100 * pairs / 7e-3 / 1e12)
    assert RESULT.teraflops("forward", "attndsl-dense", density=1.0) == pytest.approx(
        4 * 100 * 2e6 / 10e-3 / 1e12
    )


def test_targets_are_reached_or_missed() -> None:
    assert list(map(str, RESULT.targets())) == [
        "times FlexAttention, forward 2.50 of 1.3, reached",
        "times FlexAttention, forward and backward 1.10 of 1.2, missed",
        "share of the tile speedup 0.83 of 0.85, missed",
    ]
    assert list(map(str, replace(RESULT, kind="dense").targets())) == [
        "share of the best SDPA 4.00 of 0.7, reached"
    ]


def test_a_report_survives_json(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    save(REPORT, file)
    assert read(file) == REPORT


def test_the_newest_report_counts(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    for date in ("2026-01-02", "2026-03-01", "2026-02-09"):
        save(GpuReport({**ENVIRONMENT, "date": date}), tmp_path / f"z-{9 - int(date[6])}.json")
    found = newest(tmp_path)
    assert found is not None
    assert found.environment["date"] == "2026-03-01"


def test_the_table_compares_with_the_best_rivals() -> None:
    row, *_, caption = markdown(REPORT).splitlines()[2:]
    assert row.startswith(
        "| window | 10.0% | 6.0x | **2.00** | 5.00 | 8.00 | 0 | 2.5x | 1.1x | 83% | times FlexAttention,"
    )
    assert "a GPU" in caption
    assert "commit abc" in caption


def test_what_failed_has_no_time() -> None:
    failed = replace(RESULT, passes={"forward": PassResult(failures={"attndsl": "no"}), "training": TRAINING})
    row = markdown(GpuReport(ENVIRONMENT, [failed])).splitlines()[2]
    assert row.startswith("| window | 10.0% | 6.0x | failed | failed | failed |  |  | 1.1x |  |")


def test_without_results_the_readme_claims_nothing() -> None:
    assert markdown(None) == markdown(GpuReport(ENVIRONMENT)) == NOTHING


@pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="needs the README")
def test_the_readme_shows_the_newest_results() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == in_readme(readme, newest()), "run: python -m benchmarks.gpu_table"
