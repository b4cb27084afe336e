"""`pytest --attn` makes a test of every pattern; without it pytest is as ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.importer.texts import BROKEN, LOCAL, TWO

FILES = {
    "kernels/local.attn": LOCAL,
    "kernels/two.attn": TWO.replace("k.n <=", "k.m <="),
    "kernels/broken.attn": BROKEN,
    "kernels/unfinished.attn": "pattern p",
    "kernels/functions.attn": "def near(x):\n    return x < 3\n",
    "test_python.py": "def test_it():\n    assert True\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(folder: Path, *options: str) -> list[str]:
    """The lines that pytest prints in a process of its own."""
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout.splitlines()


def outcomes(lines: list[str]) -> dict[str, str]:
    words = [line.split() for line in lines if "::" in line and line.endswith("%]")]
    return {name: outcome for name, outcome, *_ in words}


def test_every_pattern_is_a_test_and_fails_with_its_diagnostic(folder: Path) -> None:
    lines = run(folder, "--attn")
    assert outcomes(lines) == {
        "kernels/broken.attn::local": "FAILED",
        "kernels/local.attn::local": "PASSED",
        "kernels/two.attn::past": "FAILED",
        "kernels/two.attn::future": "PASSED",
        "kernels/unfinished.attn::syntax": "FAILED",
        "test_python.py::test_it": "PASSED",
    }
    start = lines.index("error[A0203]: unknown axis `k.m`")
    assert lines[start + 1].endswith("two.attn:3:12")
    assert lines[start + 5] == "help: did you mean `k.n`?"
    assert not [line for line in lines if "Traceback" in line or "attndsl/" in line]


def test_a_setting_does_the_same(folder: Path) -> None:
    (folder / "pytest.ini").write_text("[pytest]\nattn = true\n")
    assert "kernels/local.attn::local" in outcomes(run(folder))


def test_without_the_option_pytest_is_as_ever(folder: Path) -> None:
    assert outcomes(run(folder)) == {"test_python.py::test_it": "PASSED"}


def test_the_plugin_loads_nothing_of_the_compiler() -> None:
    probe = "import attndsl.pytest_plugin, sys; print(*(m for m in sys.modules if m.startswith('attndsl')))"
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert set(result.stdout.split()) == {
        "attndsl",
        "attndsl.importer",
        "attndsl.pytest_plugin",
        "attndsl.diagnostics",
        "attndsl.source",
    }
