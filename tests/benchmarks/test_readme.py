"""The README's table shows the committed results."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "measured" / "cpu.json"


@pytest.mark.skipif(not RESULTS.exists(), reason="needs committed results")
def test_the_table_is_made_from_the_results() -> None:
    from benchmarks.table import in_readme, read

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == in_readme(readme, read(RESULTS)), (
        "run: python -m benchmarks.table benchmarks/measured/cpu.json"
    )
