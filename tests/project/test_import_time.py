"""`import attndsl` is cheap: milliseconds, no heavy library, nothing on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "triton", "sympy", "matplotlib", "typer", "rich", "lark", "networkx", "numpy")

PROBE = """
import json, sys, time
start = time.perf_counter()
import attndsl
seconds = time.perf_counter() - start
print(json.dumps([seconds, sorted(sys.modules)]))
"""


def import_in_new_process(**environment: str) -> tuple[float, list[str]]:
    """Seconds that `import attndsl` takes, and all modules loaded after it."""
    result = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, modules = json.loads(result.stdout)
    return seconds, modules


def test_import_takes_less_than_150_milliseconds() -> None:
    best = min(import_in_new_process()[0] for _ in range(5))
    assert best < 0.150


def test_import_loads_no_heavy_library() -> None:
    _, modules = import_in_new_process()
    assert not set(HEAVY) & set(modules)


def test_import_touches_no_disk(tmp_path: Path) -> None:
    folders = {name: str(tmp_path / name) for name in ("ATTNDSL_CACHE_DIR", "ATTNDSL_DUMP_DIR")}
    import_in_new_process(**folders, HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert list(tmp_path.iterdir()) == []
