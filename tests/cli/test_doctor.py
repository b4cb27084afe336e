"""`attndsl doctor`: what the machine has, and advice on what it lacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attndsl.cli.machine import advice, cache

HEALTHY: dict[str, Any] = {
    "torch": {"version": "2.6", "threads": 2, "gpus": []},
    "compiler": {"command": "g++", "version": "g++ 12", "problem": None},
    "vectors": {"name": "AVX2", "bits": 256, "matrix": None},
    "cache": {"folder": "~", "writable": True, "kernels": 0, "bytes": 0},
}


def test_every_part_is_reported(run: Callable[..., Any]) -> None:
    outcome = run("doctor")
    assert outcome.code == 0
    for part in ("attndsl", "cores", "compiler", "vectors", "torch", "triton", "GPUs", "cache"):
        assert any(line.startswith(part) for line in outcome.out.splitlines())


def test_json_keys(run: Callable[..., Any], golden: Callable[[str, str], None]) -> None:
    found = json.loads(run("doctor", "--json").out)
    assert found["cores"] >= 1
    golden("cli/doctor_keys.txt", "\n".join(found) + "\n")


def test_a_machine_without_compiler_gets_advice(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = json.loads(run("doctor", "--json").out)
    assert (found["compiler"], found["vectors"]) == (None, None)
    assert any("install g++" in line for line in found["advice"])


def test_a_compiler_that_fails_gets_advice(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'error: no OpenMP here' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    lines = json.loads(run("doctor", "--json").out)["advice"]
    assert any("no OpenMP here" in line for line in lines)


def test_a_healthy_machine_gets_no_advice() -> None:
    assert advice(HEALTHY) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"torch": None}, "install torch"),
        ({"vectors": None}, "no vector instructions"),
        ({"cache": {"writable": False}}, "ATTNDSL_CACHE_DIR"),
    ],
)
def test_what_is_missing_is_advised(change: dict[str, Any], words: str) -> None:
    (line,) = advice({**HEALTHY, **change})
    assert words in line


def test_the_cache_folder_is_counted_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "new" / "cache"
    monkeypatch.setenv("ATTNDSL_CACHE_DIR", str(folder))
    assert cache() == {"folder": str(folder), "writable": True, "kernels": 0, "bytes": 0}
    assert list(tmp_path.iterdir()) == []
    (folder / "kernels" / "key").mkdir(parents=True)
    (folder / "kernels" / "key" / "kernel.so").write_bytes(b"12345")
    assert (cache()["kernels"], cache()["bytes"]) == (1, 5)


def test_a_file_is_no_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("ATTNDSL_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert cache()["writable"] is False
