"""Masks over a sequence that differ from head to head: [heads, N, N]."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from tests.patterns.formulas.tables import Mask, blow_up


def moa(
    shape: tuple[int],
    alpha: Sequence[float],
    beta: Sequence[float],
    heads: int,
    block: int = 64,
    sink: int = 64,
    minimum: int = 128,
) -> Mask:
    """Head by head: so many blocks at the start, so many up to the diagonal, causal."""
    return np.stack([moa_head(shape[0], alpha[h], beta[h], block, sink, minimum) for h in range(heads)])


def moa_head(n: int, alpha: float, beta: float, block: int, sink: int, minimum: int) -> Mask:
    """One head; the counts of blocks follow from how many keys the head can hold."""
    held = ceil(max(min(int(alpha + beta * n), n), minimum) / block) * block
    kept = min(held, sink)
    first, last = kept // block, (held - kept) // block
    blocks = np.zeros((ceil(n / block), ceil(n / block)), dtype=bool)
    for row in range(len(blocks)):
        blocks[row, :first] = True
        blocks[row, max(row - last + 1, 0) : row + 1] = True
    return np.tril(blow_up(blocks, block, n))


def s2_blocks(
    count: int,
    local: int,
    stride: int,
    heads: int,
    kv_heads: int,
    homo_head: bool,
    offset: int,
    dense_heads: int,
) -> Mask:
    """The causal block mask [kv_heads, count, count]: a band of blocks, and every `stride`-th column."""
    step = max(1, stride // heads)
    mask = np.zeros((kv_heads, count, count), dtype=bool)
    for head in range(kv_heads):
        first = 0 if homo_head else head * step
        columns = [key for key in range(count) if (key + first + offset) % stride == 0]
        mask[head][:, columns] = True
        mask[head] |= ~np.tri(count, k=-local, dtype=bool)
        if head >= kv_heads - dense_heads:
            mask[head] = True
    return np.tril(mask)


def s2_relative(count: int, local: int, stride: int) -> Mask:
    """The bidirectional block mask [1, count, count], by the distance between the blocks."""
    mask = np.zeros((count, count), dtype=bool)
    for query in range(count):
        for key in range(count):
            beyond = [max(query - key - local + 1, 0), max(key - query - local + 1, 0)]
            mask[query, key] = sum(beyond) % stride == 0
    return mask[None]


def s2(
    shape: tuple[int],
    heads: int,
    kv_heads: int | None = None,
    block: int = 64,
    local: int = 16,
    stride: int = 8,
    causal: bool = True,
    homo_head: bool = False,
    offset: int = 0,
    dense_heads: int = 0,
) -> Mask:
    """[heads, N, N]: blocks blown up to tokens, kv heads repeated for their query heads."""
    n, groups = shape[0], kv_heads or heads
    count = ceil(n / block)
    if not causal:
        return blow_up(s2_relative(count, local, stride), block, n).repeat(heads, axis=0)
    blocks = s2_blocks(count, local, stride, heads, groups, homo_head, offset, dense_heads)
    return np.tril(blow_up(blocks, block, n).repeat(heads // groups, axis=0))


def longlora(shape: tuple[int], heads: int, ratio: float = 0.25, wrap: bool = False) -> Mask:
    """The groups of the first half of the heads, and the shifted or rolled ones of the second half."""
    n = shape[0]
    group = int(n * ratio)
    order = [*range(n)]
    half = group // 2
    straight = causal_runs(order, [*range(0, n, group)])
    if wrap:
        shifted = causal_runs(order[half:] + order[:half], [*range(0, n, group)])
    else:
        shifted = causal_runs(order, sorted({0, *range(group - half, n, group)}))
    return np.stack([straight] * (heads // 2) + [shifted] * (heads - heads // 2))


def causal_runs(order: list[int], starts: list[int]) -> Mask:
    """Tokens in `order`, cut at `starts`: inside a run each sees itself and those before it."""
    mask = np.zeros((len(order), len(order)), dtype=bool)
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        for place in range(start, end):
            mask[order[place], order[start : place + 1]] = True
    return mask


def sink_longlora(shape: tuple[int], ratio: float, sink: int) -> Mask:
    """[N, N]: the straight groups, and the first columns below the diagonal."""
    n = shape[0]
    mask = causal_runs([*range(n)], [*range(0, n, int(n * ratio))])
    mask[:, :sink] = True
    return np.tril(mask)
