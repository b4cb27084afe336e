"""The command line in this process: `run("list")` gives exit code, output and errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from attndsl.cli.app import app


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def run() -> Callable[..., Outcome]:
    """Run a command; an exception that is no error of the user's fails the test."""

    def invoke(*words: object) -> Outcome:
        result: Any = CliRunner(env={"COLUMNS": "110"}).invoke(app, [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return invoke


@pytest.fixture
def refuse(run: Callable[..., Outcome]) -> Callable[..., str]:
    """Run a command that must end in a diagnostic and exit code 1; returns the diagnostic."""

    def invoke(*words: object) -> str:
        outcome = run(*words)
        assert (outcome.code, outcome.out) == (1, "")
        assert outcome.err.startswith("error[A0")
        assert "Traceback" not in outcome.err
        return outcome.err

    return invoke
