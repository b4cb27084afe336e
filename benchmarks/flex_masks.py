"""The benchmarked patterns as FlexAttention users write them: index arithmetic on flat token numbers.

They are written by hand from the patterns' definitions, not derived from attndsl, so that the
comparison of outputs in `cpu.py` and `gpu.py` is one between independent descriptions. Masks that read
tables take the device that the tables are to be on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""FlexAttention's signature: (batch, head, query index, key index) -> bool."""


def causal(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """Keys up to the query."""
    return key <= query


def documents(numbers: Sequence[int], device: str) -> MaskMod:
    """Keys up to the query in the query's own document. numbers: of each token's document."""
    document = torch.tensor(numbers, device=device)

    def mask(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key <= query) & (document[query] == document[key])

    return mask


def sliding_window(left: int, right: int) -> MaskMod:
    """Keys from `left` before the query to `right` after it."""

    def mask(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        distance = key - query
        return (distance >= -left) & (distance <= right)

    return mask


def neighborhood(
    shape: tuple[int, ...], window: tuple[int, ...], dilation: int = 1, stride: tuple[int, ...] | None = None
) -> MaskMod:
    """Neighborhood attention over row-major tokens of `shape`: the `window` nearest keys on every axis.

    Near an edge the window moves inward and keeps its size. With a dilation it counts only tokens
    that lie a multiple of `dilation` from the query; every extent must be a multiple of it. Groups of
    `stride` queries on an axis share the window of their middle query.
    """
    groups = stride or (1,) * len(shape)

    def mask(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        visible: Tensor | None = None
        axes = list(zip(shape, window, groups, strict=True))
        for extent, size, group in reversed(axes):
            query, on_query = _split(query, extent)
            key, on_key = _split(key, extent)
            near = _axis(on_query, on_key, extent, size, dilation, group)
            visible = near if visible is None else visible & near
        assert visible is not None
        return visible

    return mask


def _axis(query: Tensor, key: Tensor, extent: int, window: int, dilation: int, group: int) -> Tensor:
    """One axis of `neighborhood`, for coordinates on that axis."""
    query, query_residue = _split(query, dilation)
    key, key_residue = _split(key, dilation)
    if group > 1:
        query = (_split(query, group)[0] * group + group // 2).clamp(max=extent // dilation - 1)
    left = window // 2
    right = window - left - 1
    middle = query.clamp(left, extent // dilation - 1 - right)
    distance = key - middle
    near = distance.abs() <= left if left == right else (distance >= -left) & (distance <= right)
    return near & (query_residue == key_residue) if dilation > 1 else near


def _split(index: Tensor, divisor: int) -> tuple[Tensor, Tensor]:
    """Quotient and remainder of a non-negative index; shifts, where they do, halve FlexAttention's time."""
    if divisor & (divisor - 1) == 0:
        return index >> (divisor.bit_length() - 1), index & (divisor - 1)
    return index // divisor, index % divisor
