"""Stages report to standard error and dump files where the settings ask for it, and are silent elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import attndsl
from attndsl.diagnostics import AttnFileError
from attndsl.runtime.compiler import find_compiler
from attndsl.settings import table
from attndsl.stages import STAGES, dump, report


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ATTNDSL_CACHE_DIR", str(tmp_path / "cache"))
    for variable in ("ATTNDSL_DUMP_DIR", "ATTNDSL_LOGS"):
        monkeypatch.delenv(variable, raising=False)


def never() -> str:
    raise AssertionError("a text that nobody asked for is not made")


def test_nobody_asked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report("bind", "gna", never)
    dump("gna.txt", never)
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "says"), [("bind", True), ("schedule, bind", True), ("all", True), ("cache", False)]
)
def test_a_stage_reports_when_it_is_named(
    asked: str, says: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATTNDSL_LOGS", asked)
    report("bind", "gna", lambda: "64 queries")
    assert capsys.readouterr() == ("", "attndsl bind: gna: 64 queries\n" if says else "")


def test_a_misspelt_stage_is_named_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATTNDSL_LOGS", "shedule")
    for _ in range(2):
        report("bind", "gna", never)
    assert capsys.readouterr().err == (
        "attndsl: ATTNDSL_LOGS names no stage `shedule`; it may name bind, schedule, kernel, cache, all\n"
    )


def test_a_folder_that_cannot_be_written_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ATTNDSL_DUMP_DIR", str(tmp_path / "file"))
    with pytest.raises(AttnFileError, match="A0815") as caught:
        dump("gna.txt", str)
    assert caught.value.help == "set ATTNDSL_DUMP_DIR to a folder that can be written, or unset it"


def test_the_settings_name_all_stages() -> None:
    (row,) = (line for line in table().splitlines() if "ATTNDSL_LOGS" in line)
    assert set(STAGES) <= set(re.findall(r"`(\w+)`", row))


def test_a_schedule_is_reported_and_dumped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("ATTNDSL_LOGS", "all")
    monkeypatch.setenv("ATTNDSL_DUMP_DIR", str(tmp_path / "dump"))
    attndsl.pattern("gna").bind(shape=(8, 8), window=3).schedule(q_tile=(4, 4), kv_tile=(4, 4))
    assert capsys.readouterr().err.splitlines() == [
        "attndsl bind: gna_w3x3: 64 queries, 64 keys, 1 heads",
        "attndsl schedule: gna_w3x3: q tile 4 x 4, kv tile 4 x 4, 16 of 16 tile pairs visited",
    ]
    dumped = {path.name: path.read_text() for path in (tmp_path / "dump").iterdir()}
    assert dumped["gna_w3x3.bound.txt"].startswith("bound gna_w3x3:")
    assert dumped["gna_w3x3.schedule.txt"].startswith("schedule of gna_w3x3")


def test_a_kernel_is_reported_and_dumped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    find_compiler()
    monkeypatch.setenv("ATTNDSL_LOGS", "kernel,cache")
    monkeypatch.setenv("ATTNDSL_DUMP_DIR", str(tmp_path))
    for _ in range(2):
        attndsl.pattern("causal").bind(shape=32).compile(backend="cpu", head_dim=8)
    reports = capsys.readouterr().err
    assert re.findall(
        r"^attndsl kernel: causal_float32_d8_forward: [\d,]+ lines of C\+\+$", reports, re.MULTILINE
    )
    assert [line.split()[3:5] for line in reports.splitlines() if "cache:" in line] == [
        ["compiled", "into"],
        ["found", "in"],
    ]
    assert (tmp_path / "causal_float32_d8_forward.tile-ir.txt").read_text().startswith("program forward(")
    assert "attend tokens -> tokens" in (tmp_path / "causal_float32_d8_forward.cpp").read_text()
