"""Checks of the tile sizes and steps that a user asks for."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from math import prod

from attndsl.diagnostics import AttnScheduleError
from attndsl.ir.bound import Segment

Extents = int | Sequence[int]

LARGEST_TILE = 1024
"""Tokens: kernels keep the scores of a pair of tiles in fast memory."""


def checked_tile(value: Extents, segment: Segment, name: str) -> tuple[int, ...]:
    """Tokens per axis of a tile. Raises AttnScheduleError A0501 to A0503."""
    tile = _per_axis(value, segment, name)
    tokens = prod(map(min, tile, segment.extents))
    if tokens > LARGEST_TILE:
        raise AttnScheduleError(
            "A0503",
            f"{name} has {tokens:,} tokens, more than {LARGEST_TILE:,}",
            note=f"{name} is {_times(tile)}",
            help="choose a smaller tile: 16 to 128 tokens are usual",
        )
    return tile


def checked_step(value: Extents, query: Segment, key: Segment) -> tuple[int, ...]:
    """The distance of a tile's tokens along each axis. Raises AttnScheduleError A0501, A0502 and A0504."""
    step = _per_axis(value, query, "step")
    if len(query.extents) != len(key.extents) and any(each != 1 for each in step):
        raise AttnScheduleError(
            "A0504",
            f"`{query.name}` and `{key.name}` have different axes, so tiles cannot share a step",
            help="leave step out",
        )
    return step


def _per_axis(value: Extents, segment: Segment, name: str) -> tuple[int, ...]:
    given = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    axes = ", ".join(segment.axes)
    if len(given) != len(segment.axes):
        raise AttnScheduleError(
            "A0501",
            f"{name} has {len(given)} {'entry' if len(given) == 1 else 'entries'}, but `{segment.name}` has "
            f"{len(segment.axes)} axes: {axes}",
            help=f"give one number per axis: {name}=({', '.join(['8'] * len(segment.axes))})",
        )
    for axis, entry in zip(segment.axes, given, strict=True):
        if isinstance(entry, bool) or not _is_positive(entry):
            raise AttnScheduleError(
                "A0502",
                f"{name} must be 1 or more tokens on each axis",
                note=f"on axis `{axis}` it is {entry!r}",
                help="give whole numbers, 1 or more",
            )
    return tuple(operator.index(entry) for entry in given)


def _is_positive(entry: object) -> bool:
    try:
        return operator.index(entry) >= 1  # type: ignore[arg-type]
    except TypeError:
        return False


def _times(tile: tuple[int, ...]) -> str:
    return " x ".join(map(str, tile))
