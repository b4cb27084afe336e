"""The command line as a process: quick help, pipes, interrupts, terminals without Unicode."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "attndsl"]
HEAVY = ("torch", "sympy", "networkx", "matplotlib", "numpy", "lark", "attndsl.pipeline")

posix = pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")


def attndsl(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


def test_exit_codes() -> None:
    assert attndsl("--version").returncode == 0
    assert attndsl("show", "gnaa").returncode == 1
    assert attndsl("shwo").returncode == 2


def test_errors_go_to_standard_error() -> None:
    result = attndsl("show", "gnaa")
    assert result.stdout == ""
    assert result.stderr == "error[A0811]: the library has no pattern `gnaa`\nhelp: did you mean `gna`?\n"


def test_help_loads_nothing_heavy() -> None:
    probe = (
        "import sys; sys.argv = ['attndsl', '--help']\n"
        "from attndsl.cli import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        f"loaded = sorted(set({HEAVY!r}) & set(sys.modules)); print(loaded, file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert "simulate" in result.stdout
    assert result.stderr.strip() == "[]"


@posix
def test_a_reader_that_stops_early_is_no_error() -> None:
    process = subprocess.Popen([*COMMAND, "list", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) in (0, 1)


@posix
def test_an_interrupt_ends_quietly(tmp_path: Path) -> None:
    slow = [*COMMAND, "show", "causal", "--shape", "1000000", "--q-tile", "8", "--kv-tile", "8"]
    talkative = {**os.environ, "ATTNDSL_LOGS": "bind"}
    process = subprocess.Popen([*slow, "-o", str(tmp_path / "a.png")], stderr=subprocess.PIPE, env=talkative)
    assert process.stderr is not None
    assert b"bind" in process.stderr.readline()  # from here on it works on the picture
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (130, 0)
    assert b"Traceback" not in errors


def test_a_terminal_without_unicode_gets_question_marks() -> None:
    result = attndsl("list", PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0")
    assert result.returncode == 0
    assert "gna" in result.stdout


@posix
def test_a_full_disk_is_no_traceback() -> None:
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [*COMMAND, "list", "--json"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert result.returncode == 1
    assert b"Traceback" not in result.stderr
