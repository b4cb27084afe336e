"""mypy --strict accepts stubs, and finds a parameter of a wrong type with their help."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attndsl import library
from tests.importer.texts import LOCAL, TWO

pytest.importorskip("mypy")

CONSUMER = """import attndsl
from kernels.local_attention import local
from kernels.two import future, past

bound = local.bind((8, 8), window=5, stride=(1, 2))
also: attndsl.Pattern = past
name: str = bound.name
counts: list[int] = [int(each.mask().sum()) for each in (bound, past.bind(8), future.bind(shape=[8]))]
"""
WRONG = """from kernels.local_attention import local

local.bind((8, 8), window="wide")
local.bind((8, 8))
local.bind((8, 8), window=5, strides=2)
"""
SETTINGS = """[mypy]
strict = true
[mypy-torch.*]
follow_imports = skip
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What mypy says of a package of `.attn` files, the library's among them, and of two programs."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "kernels").mkdir()
    for name, text in {
        "kernels/__init__.py": "",
        "kernels/local_attention.attn": LOCAL,
        "kernels/two.attn": TWO,
        "right.py": CONSUMER,
        "wrong.py": WRONG,
        "mypy.ini": SETTINGS,
    }.items():
        (folder / name).write_text(text)
    for name in library.names():
        (folder / "kernels" / f"library_{name}.attn").write_text(library.source(name).text)
    cache = Path(os.environ.get("ATTNDSL_CACHE_DIR", folder)) / "mypy-of-stubs"
    subprocess.run([sys.executable, "-m", "attndsl", "stubs"], cwd=folder, check=True)
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(cache), "right.py", "wrong.py", "kernels"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout


def test_stubs_and_their_right_use_have_no_mistake(found: str) -> None:
    assert [line for line in found.splitlines() if not line.startswith(("wrong.py", "Found "))] == []


def test_a_parameter_of_a_wrong_type_is_found(found: str) -> None:
    assert 'wrong.py:3: error: Argument "window" to "bind"' in found
    assert 'has incompatible type "str"' in found


def test_a_missing_parameter_is_found(found: str) -> None:
    assert 'wrong.py:4: error: Missing named argument "window"' in found


def test_an_unknown_parameter_is_found(found: str) -> None:
    assert 'wrong.py:5: error: Unexpected keyword argument "strides"' in found
