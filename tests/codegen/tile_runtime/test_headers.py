"""The headers of the runtime as files."""

from __future__ import annotations

import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from attndsl.runtime.compiler import find_compiler

FOLDER = files("attndsl.codegen")
HEADERS = sorted(file.name for file in FOLDER.iterdir() if file.name.endswith(".h"))


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_needs_no_other_before_it(header: str, tmp_path: Path) -> None:
    source = tmp_path / "one.cpp"
    source.write_text(f'#include "{header}"\n', encoding="utf-8")
    command = [*find_compiler().command, "-std=c++17", "-fopenmp", "-fsyntax-only", f"-I{FOLDER}"]
    result = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
