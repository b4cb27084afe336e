"""Masks over (frame, token), built frame by frame or block by block and blown up to tokens."""

from __future__ import annotations

from functools import cache
from math import floor

import numpy as np

from tests.patterns.formulas.tables import Mask, blow_up


def block_kept(offset: int, width: float, block: int) -> bool:
    """Whether a block `offset` blocks off the diagonal is kept for a band of |row - column| <= width.

    Kept when more than 0.6 of the columns that the band enters lie in it by more than a third.
    """
    row = np.arange(block)[:, None] + offset * block
    in_band = np.abs(row - np.arange(block)) <= width
    entered = in_band.any(axis=0).sum()
    well_inside = (3 * in_band.sum(axis=0) > block).sum()
    return bool(10 * well_inside > 6 * entered)


@cache
def radial_pair(distance: int, tokens: int, decay: float, block: int) -> Mask:
    """The blocks [tokens / block, tokens / block] that a frame keeps of another, `distance` frames off."""
    count = tokens // block
    if distance <= 1:
        return np.ones((count, count), dtype=bool)
    length = 2.0 ** (tokens.bit_length() - distance.bit_length())
    if length < 128 and distance % int(128 / length):
        return np.zeros((count, count), dtype=bool)
    width = max(length * decay, block)
    kept = np.array([block_kept(offset, width, block) for offset in range(count)])
    return kept[np.abs(np.subtract.outer(np.arange(count), np.arange(count)))]


def radial_blocks(shape: tuple[int, int], decay: float = 1.0, block: int = 128, sink: bool = False) -> Mask:
    """The video part in blocks: [frames, frames, tokens / block, tokens / block], each pair queries first."""
    frames, tokens = shape
    pairs = np.array(
        [[radial_pair(abs(q - k), tokens, decay, block) for k in range(frames)] for q in range(frames)]
    )
    pairs[:, 0] |= sink
    return pairs


def radial(
    shape: tuple[int, int], text: int, decay: float = 1.0, block: int = 128, sink: bool = False
) -> Mask:
    """The video part blown up to tokens, framed by the text."""
    n = shape[0] * shape[1]
    pairs = radial_blocks(shape, decay, block, sink)
    blocks = pairs.transpose(0, 2, 1, 3).reshape(n // block, n // block)
    mask = np.ones((n + text, n + text), dtype=bool)
    mask[:n, :n] = blow_up(blocks, block, n)
    return mask


def frame_causal(shape: tuple[int, int], chunk: int = 1, window: int = 0, sink: int = 0) -> Mask:
    """A table of frames, chunk by chunk, blown up to tokens."""
    frames, tokens = shape
    table = np.zeros((frames, frames), dtype=bool)
    for start in range(0, frames, chunk):
        end = min(start + chunk, frames)
        limited = window > 0 and end > window
        recent = range(max(end - (window - sink), 0), end) if limited else range(end)
        first = range(min(sink, end))
        table[start:end, [*recent, *first]] = True
    return np.kron(table, np.ones((tokens, tokens), dtype=bool)).astype(bool)


def video_infinity(shape: tuple[int], key_shape: tuple[int], pad: int) -> Mask:
    """[frames, keys]: a diagonal of 2 pad + 1 keys, then the shared keys."""
    n, n_keys = shape[0], key_shape[0]
    mask = np.zeros((n, n_keys), dtype=bool)
    for frame in range(n):
        mask[frame, frame : frame + 2 * pad + 1] = True
    mask[:, n + 2 * pad :] = True
    return mask


def svg_spatial(shape: tuple[int, int], block: int = 128, multiple: float = 2) -> Mask:
    """A band of blocks, and the columns of the first frame."""
    frames, tokens = shape
    n = frames * tokens
    count = -(-n // block)
    width = floor(multiple * tokens / block)
    band = np.triu(np.tri(count, k=width - 1, dtype=bool), k=1 - width)
    mask = blow_up(band, block, n)
    mask[:, :tokens] = True
    return mask


def svg_temporal(shape: tuple[int, int], block: int = 128, multiple: float = 2) -> Mask:
    """The spatial mask read in token-major order, and put back into frame-major order."""
    frames, tokens = shape
    swapped = svg_spatial(shape, block, multiple).reshape(tokens, frames, tokens, frames)
    mask: Mask = swapped.transpose(1, 0, 3, 2).reshape(frames * tokens, frames * tokens)
    return mask


def attention_tile(shape: tuple[int, int], reference: int) -> Mask:
    """A table of frames: the diagonal, and every `reference`-th row and column."""
    frames, tokens = shape
    table = np.eye(frames, dtype=bool)
    table[::reference, :] = True
    table[:, ::reference] = True
    return np.kron(table, np.ones((tokens, tokens), dtype=bool)).astype(bool)
