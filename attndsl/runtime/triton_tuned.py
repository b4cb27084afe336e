"""The configurations that autotuning found, kept in the cache.

A winner belongs to a pattern, sizes, type, GPU and Triton release; `compile_triton` of the same takes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from attndsl import __version__
from attndsl.codegen.triton_configuration import Configuration, Direction
from attndsl.runtime.targets import describe
from attndsl.runtime.triton_module import require_triton
from attndsl.runtime.triton_problem import Problem
from attndsl.settings import settings


def stored(problem: Problem) -> dict[Direction, Configuration]:
    """The configurations that were found before; empty where none were, or their file is not readable."""
    try:
        content = json.loads(_path(problem).read_text(encoding="utf-8"))
        return {direction: Configuration(**fields) for direction, fields in content["kernels"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def store(problem: Problem, won: Mapping[Direction, Configuration]) -> None:
    """Remember configurations, together with those of other kernels of the problem."""
    path = _path(problem)
    known = {direction: asdict(each) for direction, each in (stored(problem) | dict(won)).items()}
    content = {"pattern": problem.ir.name, "target": problem.target.name, "kernels": known}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        file = Path(work) / path.name
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        os.replace(file, path)


def _path(problem: Problem) -> Path:
    parts = (
        describe(problem.ir), problem.head_dim, problem.value_dim, problem.element, problem.target.name,
        __version__, require_triton().__version__,
    )  # fmt: skip
    key = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]
    return settings().cache_dir / "tuned" / f"{key}.json"
