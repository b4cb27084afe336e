"""Candidates in words: a pattern with its values, as the command line takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def label(self) -> str:
        """The pattern with its values: `moa alpha=64 beta=0.5`."""
        return label(self.name, self.values)

    def bind(self, shape: Extents, heads: int, kv_heads: int) -> Bound:
        """With the numbers of a layer. Raises AttnBindError (A04xx)."""
        return self.pattern.bind(shape=shape, heads=heads, kv_heads=kv_heads, **self.values)


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
    return (
        str(value).lower()
        if isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
