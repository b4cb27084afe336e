"""The files of a package that somebody else might write: patterns beside Python files, tests, a program."""

from __future__ import annotations

FILES = {
    "pyproject.toml": """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "strangerkit"
version = "1.0"
requires-python = ">=3.10"
dependencies = ["attndsl"]
""",
    "strangerkit/__init__.py": '''"""Patterns as `.attn` files beside Python files."""

import attndsl
from strangerkit.kernels import local_attention
''',
    "strangerkit/kernels/__init__.py": '''"""The package's patterns."""
''',
    "strangerkit/kernels/local_attention.attn": '''"""Local attention."""

pattern local(window: int[axes]):
    """Every query sees a window around itself."""
    space tokens(axes...)
    attend neighborhood(window)

pattern past:
    space tokens(n)
    attend k.n <= q.n
''',
    "strangerkit/spread/striped.attn": """pattern striped(step: int):
    require step >= 1, "step must be at least 1"
    space tokens(n)
    attend (q.n - k.n) % max(step, 1) == 0
""",
    "strangerkit/work.py": '''"""Work for processes of their own."""

import attndsl


def visible_pairs(pattern: attndsl.Pattern) -> int:
    """Pairs of 6 tokens that a pattern lets through."""
    values = {each.name: 3 for each in pattern.ir.parameters}
    return int(pattern.bind(6, **values).mask().sum())
''',
    "strangerkit/__main__.py": '''"""Sends patterns to processes of their own."""

from multiprocessing import get_context

from strangerkit.kernels.local_attention import local, past
from strangerkit.spread.striped import striped
from strangerkit.work import visible_pairs

if __name__ == "__main__":
    with get_context("spawn").Pool(2) as pool:
        print(pool.map(visible_pairs, [local, past, striped]))
''',
    "checks/test_kernels.py": '''"""The stranger's own tests."""

import attndsl

from strangerkit.kernels import local_attention


def test_the_patterns():
    assert local_attention.__all__ == ["local", "past"]
    assert local_attention.local.bind(6, window=3).mask().sum() == 18


def test_kinds():
    assert isinstance(local_attention.past, attndsl.Pattern)
''',
    "checks/checked.attn": '''"""Local attention."""

pattern local(window: int[axes]):
    """Every query sees a window around itself."""
    space tokens(axes...)
    attend neighborhood(window)

pattern past:
    space tokens(n)
    attend k.n <= q.n
''',
}
