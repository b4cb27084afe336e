"""Bound patterns with schedules that the tests of pictures share."""

from __future__ import annotations

from typing import Any

import attndsl
from attndsl.pipeline import Pattern
from attndsl.show.subject import Subject


def subject(name: str, q_tile: Any, kv_tile: Any, head: int = 0, **numbers: Any) -> Subject:
    """A head of a shipped pattern with these tiles."""
    return of_pattern(attndsl.pattern(name), q_tile, kv_tile, head, **numbers)


def of_pattern(pattern: Pattern, q_tile: Any, kv_tile: Any, head: int = 0, **numbers: Any) -> Subject:
    """A head of a pattern with these tiles."""
    bound = pattern.bind(**numbers)
    return Subject(bound.ir, bound.schedule(q_tile, kv_tile), head)


def square() -> Subject:
    """Neighborhood attention on 12 x 12 tokens, 4 x 4 tiles: full, partial and skipped tiles."""
    return subject("gna", (4, 4), (4, 4), shape=(12, 12), window=(5, 5))


def video() -> Subject:
    """Neighborhood attention on 20 x 8 x 12 tokens."""
    return subject("gna", (2, 4, 4), (2, 4, 4), shape=(20, 8, 12), window=(6, 4, 4), stride=(2, 4, 4))
