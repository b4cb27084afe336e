"""Makes a printed C++ kernel stand alone: the tile runtime takes the place of its `#include` lines."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_INCLUDE = re.compile(r'^#include "([\w.]+)".*\n', re.MULTILINE)


def standalone(source: str) -> str:
    """The same source in one file that needs nothing but a C++17 compiler."""
    included: set[str] = set()

    def insert(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in included:
            return ""
        included.add(name)
        return _INCLUDE.sub(insert, _header(name))

    return _INCLUDE.sub(insert, source)


@cache
def _header(name: str) -> str:
    text = files("attndsl.codegen").joinpath(name).read_text(encoding="utf-8")
    return text.replace("#pragma once\n", "")
