"""Masks of published block-sparse patterns as FlexAttention users write them, with tables on the device.

The definitions are those of the papers' repositories, see the patterns of the same names; like
`flex_masks.py` they are written by hand.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks.flex_masks import MaskMod

SMALLEST_BAND = 128
"""Radial attention leaves pairs of frames out where the band between them would be narrower."""


def radial(frames: int, tokens: int, decay: float, device: str, block: int = 128) -> MaskMod:
    """Radial attention over `frames` of `tokens`; all tokens after the video see and are seen by all.

    A table says for every distance of frames how many blocks wide the band is, -1 for pairs left out.
    """
    width = torch.tensor([_radial_blocks(n, tokens, decay, block) for n in range(frames)], device=device)
    video = frames * tokens

    def mask(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        distance = (query // tokens - key // tokens).abs().clamp(max=frames - 1)
        apart = (query % tokens // block - key % tokens // block).abs()
        return (apart <= width[distance]) | (query >= video) | (key >= video)

    return mask


def _radial_blocks(distance: int, tokens: int, decay: float, block: int) -> int:
    if distance <= 1:
        return tokens
    octaves = tokens.bit_length() - distance.bit_length()
    if distance % max(SMALLEST_BAND >> octaves if octaves >= 0 else SMALLEST_BAND << -octaves, 1):
        return -1
    band = int(max(2.0**octaves * decay, block))
    return (band + block - 1 - 5 * (block // 3) // 2) // block


def s2(heads: int, block: int, local: int, stride: int) -> MaskMod:
    """The last `local` blocks, and every `stride`-th one from a start that moves with the head."""
    move = max(1, stride // heads)

    def mask(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        query_block, key_block = query // block, key // block
        near = query_block - key_block < local
        return (key <= query) & (near | ((key_block + head * move) % stride == 0))

    return mask


def moa(
    tokens: int,
    alpha: Sequence[float],
    beta: Sequence[float],
    device: str,
    block: int = 64,
    sink: int = 64,
    minimum: int = 128,
) -> MaskMod:
    """The first `sink` keys and, per head, as many before the query as its span `alpha + beta * n` leaves."""
    wanted = [max(min(int(a + b * tokens), tokens), minimum) for a, b in zip(alpha, beta, strict=True)]
    spans = [-(-each // block) * block for each in wanted]
    first = [min(each, sink) for each in spans]
    sinks = torch.tensor([each // block for each in first], device=device)
    windows = torch.tensor([(s - f) // block for s, f in zip(spans, first, strict=True)], device=device)

    def mask(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        query_block, key_block = query // block, key // block
        near = key_block > query_block - windows[head]
        return (key <= query) & (near | (key_block < sinks[head]))

    return mask
