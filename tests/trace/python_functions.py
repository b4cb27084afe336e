"""Python functions from text, with or without a file that Python can find: as a module, a REPL, an `exec`."""

from __future__ import annotations

import linecache
import sys
from typing import Any

import pytest

import attndsl

knows_places = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="before Python 3.11 an instruction knows its line only"
)

HEAD = """import math
import numpy as np
import attndsl
from attndsl import Attention, Input, PerAxis, PerHead, lang, where
from attndsl.lang import all_axes, any_of, causal, extent, head, heads, require, same_block, sliding
"""


def run(text: str, name: str = "my.py", *, known: bool = True) -> dict[str, Any]:
    """The names that a Python file defines. known: whether Python can find the file's text."""
    whole = HEAD + text
    linecache.cache.pop(name, None)
    if known:
        linecache.cache[name] = (len(whole), None, whole.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {"__name__": "my"}
    exec(compile(whole, name, "exec", dont_inherit=True), namespace)
    return namespace


def pattern(condition: str, parameters: str = "", decorator: str = "@attndsl.jit", **run_as: Any) -> Any:
    """The pattern of a function that returns this condition."""
    return run(f"{decorator}\ndef p(q, k{parameters}):\n    return {condition}\n", **run_as)["p"]


def attn(condition: str, parameters: str = "", space: str = "tokens(n)", clauses: str = "") -> Any:
    """The pattern of a text with this condition."""
    return attndsl.parse(f"pattern p({parameters}):\n    space {space}\n{clauses}    attend {condition}\n")
