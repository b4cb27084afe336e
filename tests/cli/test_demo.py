"""`attndsl demo`: its pattern, its table, and (slowly) all of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import attndsl
from attndsl.cli.demo_table import difference, predict, prediction_table
from attndsl.cli.demo_text import MISTAKE, NEXT, PATTERN, ROWS, SETTING, Published
from attndsl.cli.steps import Steps
from attndsl.pipeline import Pattern


def pattern() -> Pattern:
    found = attndsl.parse(PATTERN, "hunyuan.attn")
    assert isinstance(found, attndsl.Pattern)
    return found


def test_the_pattern_is_six_lines() -> None:
    assert len(PATTERN.strip().split("\n")) == 6


def test_the_pattern_is_the_librarys_neighborhood_attention() -> None:
    small: dict[str, Any] = {"shape": (5, 6, 8), "window": (3, 4, 4), "stride": (2, 2, 4)}
    ours, library = pattern().bind(**small), attndsl.pattern("gna").bind(**small)
    assert np.array_equal(ours.mask(), library.mask())


def test_the_setting_is_hunyuan_video() -> None:
    assert pattern().bind(**SETTING).ir.query_space.size == 115_200


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.stride))
def test_every_published_row_is_reproduced(row: Published) -> None:
    report = predict(pattern(), row)
    assert round(report.tile_speedup, 2) == row.tile_speedup
    assert difference(report, row) < 0.0101  # the paper rounds the third row's end to end figure up


def test_the_table_reports_its_largest_difference() -> None:
    wrong = Published((16, 8, 8), 11.5, 2.23, 2.23)
    assert prediction_table(pattern(), [*ROWS, wrong])[1] == pytest.approx(0.39)


def test_the_typo_is_in_the_pattern() -> None:
    wrong, right = MISTAKE
    assert right in PATTERN
    with pytest.raises(attndsl.AttnNameError, match="did you mean `neighborhood`"):
        attndsl.parse(PATTERN.replace(right, wrong))


def test_what_to_try_next_works(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.attn").write_text(PATTERN)
    commands = [line.split("  ")[2].split() for line in NEXT.splitlines() if line.startswith("    attndsl")]
    assert len(commands) >= 6
    for _, *words in commands:
        if words[0] != "bench":
            assert run(*words).code == 0


def test_running_prints_measurement_check_and_comparison() -> None:
    pytest.importorskip("torch")
    from attndsl.cli.demo_run import run as run_part

    console = Console(file=io.StringIO(), width=120)
    small = pattern().bind(shape=(6, 8, 8), window=(4, 4, 4), stride=(2, 2, 2), heads=1)
    run_part(Steps(console), small, head_dim=32, rows=16, dense_share=4)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "GFLOP/s" in text
    assert "16 sampled queries agree with the float64 definition" in text
    assert "from 1/4 of the queries" in text


@pytest.mark.filterwarnings("ignore::attndsl.diagnostics.AttnWarning")
def test_without_a_compiler_nothing_slow_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from attndsl.cli.demo_run import run as run_part

    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    console = Console(file=io.StringIO(), width=120)
    run_part(Steps(console), pattern().bind(**SETTING, heads=1), head_dim=128, rows=16, dense_share=4)
    assert isinstance(console.file, io.StringIO)
    assert "attndsl doctor" in console.file.getvalue()


@pytest.mark.slow
def test_the_whole_demo(run: Callable[..., Any], tmp_path: Path) -> None:
    picture = tmp_path / "demo.png"
    outcome = run("demo", "-o", picture)
    assert outcome.code == 0
    assert "largest difference from the published numbers: 0.01" in outcome.out
    assert str(picture) in outcome.out
    assert picture.read_bytes().startswith(b"\x89PNG")
