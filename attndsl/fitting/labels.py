"""Candidates in words: a pattern with its values, as the command line takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def label(name: str, values: Mapping[str, Any]) -> str:
    """A pattern's name with values as the command line takes them."""
    return " ".join([name, *(f"{key}={spelled(value)}" for key, value in values.items())])


def spelled(value: Any) -> str:
    """A value as the command line takes it: `18,24,24`, `true`; many values as their range."""
    if isinstance(value, list | tuple):
        different = sorted(set(value))
        if len(value) > 4 and len(different) > 1:
            return f"{spelled(different[0])}..{spelled(different[-1])}"
        return ",".join(map(spelled, value if len(different) > 1 or len(value) <= 4 else different))
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
