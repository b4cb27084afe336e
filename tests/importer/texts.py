"""Files that the tests of importing write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Write = Callable[[str, str], Path]

LOCAL = '''"""Patterns of a test."""

pattern local(window: int[axes], stride: int[axes] = 1):
    """Every query sees a window around itself."""
    space tokens(axes...)
    attend neighborhood(window, stride)
'''
TWO = """pattern past:
    space tokens(n)
    attend k.n <= q.n

pattern future:
    space tokens(n)
    attend k.n >= q.n
"""
BROKEN = LOCAL.replace("neighborhood", "neighbourhood")
