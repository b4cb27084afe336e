"""docs/simulator.md: its table of published and predicted times is what the simulator says."""

from __future__ import annotations

from pathlib import Path

import pytest

from attndsl.simulate.units import duration
from tests.simulate.published_times import FLASH, LIGHTNING, lightning_kernel, predicted

PAGE = Path(__file__).resolve().parents[2] / "docs" / "simulator.md"


def row(tokens: int) -> str:
    """A row of the table."""
    found = predicted(tokens)
    assert found.linear is not None
    assert found.quadratic is not None
    times = (
        FLASH[tokens],
        found.quadratic.seconds,
        LIGHTNING[tokens],
        lightning_kernel(tokens),
        found.linear.seconds,
    )
    return f"| {tokens:,} | {' | '.join(map(duration, times))} |"


@pytest.mark.parametrize("tokens", LIGHTNING)
def test_the_table(tokens: int) -> None:
    assert row(tokens) in PAGE.read_text(encoding="utf-8").splitlines()
