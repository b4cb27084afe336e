"""Tiles as tensor descriptors see them: boxes, which the copy engine of a GPU moves by itself.

A descriptor covers a whole tensor `[batch * heads, tokens or axes..., channels]`. It can load a tile that is
a box of one segment, or a run of neighbouring tokens; what lies outside the tensor is loaded as zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from attndsl.codegen.triton_tokens import TileTokens, box, even_distance

MOST_AXES = 3
"""A descriptor has at most five dimensions; heads and channels are two of them."""


@dataclass(frozen=True)
class TileBox:
    """How descriptors address one side's tiles.

    kind: 'run' of tokens, or 'box' of a segment. extents: of the tensor's token dimensions. sizes: of a tile
    along them. place: the text of a tile's first place along each.
    """

    kind: Literal["run", "box"]
    extents: tuple[int, ...]
    sizes: tuple[int, ...]
    place: tuple[str, ...]


def tile_box(tokens: TileTokens) -> TileBox | None:
    """How descriptors address the tiles; None where they cannot."""
    tiling = tokens.tiling
    segments = [tiling.segments[number] for number in tokens.numbers]
    runs = all(even_distance(segment) == 1 for segment in segments)
    if runs and _ends_with_the_space(tokens):
        return TileBox("run", (tiling.space.size,), (tokens.lanes,), (f"{tokens.side}_base",))
    segment, number = segments[0], tokens.numbers[0]
    whole = len(segments) == 1 and prod(box(segment)) == tokens.lanes and len(segment.axes) <= MOST_AXES
    powers = all(size & (size - 1) == 0 for size in box(segment))
    if not whole or not powers or any(axis.step > 1 for axis in segment.axes):
        return None
    place = tuple(tokens.first_of(number, axis) for axis in range(len(segment.axes)))
    return TileBox("box", segment.segment.extents, box(segment), place)


def _ends_with_the_space(tokens: TileTokens) -> bool:
    """Whether lanes that do not exist lie beyond the last token, so that other tokens are never loaded."""
    table, counts = tokens.tiling.tokens()
    last = table[np.arange(len(counts)), counts - 1]
    cut = counts < tokens.lanes
    return bool((last[cut] == tokens.tiling.space.size - 1).all())
