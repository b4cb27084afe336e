"""Progress: in a terminal and in plain text, the same lines."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from attndsl.cli.steps import Steps


def shown(terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80, color_system=None)
    steps = Steps(console)
    steps.heading("First [part]")
    with steps.step("count") as done:
        done("two [tokens]")
    steps.quote("error[A0101]: no\nhelp: yes")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_headings_steps_and_quotes(terminal: bool) -> None:
    text = shown(terminal)
    assert "1. First [part]" in text
    assert "ms  two [tokens]" in text
    assert "   error[A0101]: no\n   help: yes" in text


def test_plain_text_has_no_control_characters() -> None:
    assert shown(terminal=False).replace("\n", "").isprintable()


def test_a_step_that_fails_prints_no_result() -> None:
    console = Console(file=io.StringIO(), width=80)
    with pytest.raises(ValueError, match="wrong"), Steps(console).step("count"):
        raise ValueError("wrong")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""
