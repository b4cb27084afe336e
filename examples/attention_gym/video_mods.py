"""FlexAttention's masks for images and videos, written from their descriptions; see `mask_mods`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor

from examples.attention_gym.mask_mods import MaskMod

Place = Callable[[Tensor], tuple[Tensor, ...]]
"""The coordinates of a token from its position in the sequence."""


def row_major(width: int) -> Place:
    """Row and column of a pixel."""
    return lambda position: (position // width, position % width)


def tile_major(width: int, tile: tuple[int, int]) -> Place:
    """Row and column of a pixel where the tiles, and the pixels in a tile, follow one another row by row."""

    def place(position: Tensor) -> tuple[Tensor, ...]:
        number, inside = position // (tile[0] * tile[1]), position % (tile[0] * tile[1])
        across = width // tile[1]
        return (
            number // across * tile[0] + inside // tile[1],
            number % across * tile[1] + inside % tile[1],
        )

    return place


def morton(position: Tensor) -> tuple[Tensor, ...]:
    """Row and column of a pixel on a Z-shaped curve: the column has the even bits, the row the odd ones."""
    row, column = torch.zeros_like(position), torch.zeros_like(position)
    for bit in range(8):
        column = column + ((position >> (2 * bit)) % 2) * 2**bit
        row = row + ((position >> (2 * bit + 1)) % 2) * 2**bit
    return row, column


def neighborhood(extents: Sequence[int], window: Sequence[int], place: Place) -> MaskMod:
    """The `window` around each query, moved inward at the borders; its sizes are odd."""

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        near = q >= 0
        for extent, size, at, to in zip(extents, window, place(q), place(kv), strict=True):
            centre = at.clamp(size // 2, extent - 1 - size // 2)
            near = near & ((to - centre).abs() <= size // 2)
        return near

    return mask_mod


def sliding_tiles(tiles: Sequence[int], window: Sequence[int], size: int) -> MaskMod:
    """Tiles of `size` tokens one after the other: each sees `window` tiles, and the text behind all tiles.

    tiles: how many there are along each axis. Text sees everything.
    """
    length = prod(tiles) * size

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        near, inner = q >= 0, 1
        for count, wide in zip(reversed(tiles), reversed(window), strict=True):
            ours, theirs = q // size // inner % count, kv // size // inner % count
            start = (ours - wide // 2).clamp(0, count - wide)
            near = near & (theirs >= start) & (theirs < start + wide)
            inner *= count
        return near | (q >= length) | (kv >= length)

    return mask_mod


def spatial_head(prompt: int, tokens: int, frames: int, sink: bool, step: int) -> MaskMod:
    """A band of `frames` frames of `tokens` tokens, rounded down to a multiple of `step`; and the prompt."""
    width = frames * tokens // step * step
    seen = prompt + tokens * sink
    return lambda b, h, q, kv: (q < prompt) | (kv < seen) | ((q - kv).abs() < width)


def temporal_head(prompt: int, tokens: int, frames: int, width: int) -> MaskMod:
    """Nearby places of all frames, each of `tokens` tokens; all see the prompt and are seen by it."""
    reach = width * tokens // frames

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        ours, theirs = (q - prompt) % tokens, (kv - prompt) % tokens
        return (q < prompt) | (kv < prompt) | ((ours - theirs).abs() < reach)

    return mask_mod
