"""docs/fit.md: its commands run on the samples that its first snippet captures."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.console import output
from scripts.snippets import blocks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fit.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="needs the source tree")


def test_its_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    exec(compile(blocks(text, "python")[0].text, PAGE.name, "exec"), {})
    (shell,) = blocks(text, "bash")
    first, second = (output(f"$ {command}") for command in shell.text.replace("\\\n", "").splitlines())
    assert "wrote plan.json" in first
    assert len(list(Path("pictures").iterdir())) == 3
    assert "layer 2, by head" in second
