"""Memory of routed patterns grows as the length does: measured in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.routed_memory import CASES
from tests.patterns.names import ROUTED
from tests.runtime.attention_cases import needs_compiler


def peak(name: str, tokens: int) -> float:
    command = [sys.executable, "-m", "benchmarks.routed_memory", name, "--peak", str(tokens), "--training"]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_cases_are_routed_patterns() -> None:
    assert set(CASES) <= set(ROUTED)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("name", ["dma", "moba"])
def test_twice_the_tokens_take_twice_the_memory(name: str) -> None:
    """Not four times; small amounts are noise."""
    short, long = peak(name, 8192), peak(name, 16384)
    assert long < 2.6 * short + 30
