"""The benchmarked patterns as FlexAttention users write them: index arithmetic on flat token numbers.

They are written by hand from the patterns' definitions, not derived from attndsl, so that the
comparison of outputs in `cpu.py` is one between independent descriptions.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""FlexAttention's signature: (batch, head, query index, key index) -> bool."""


def sliding_window(left: int, right: int) -> MaskMod:
    """Keys from `left` before the query to `right` after it."""

    def mask(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        distance = key - query
        return (distance >= -left) & (distance <= right)

    return mask


def neighborhood(shape: tuple[int, ...], window: tuple[int, ...], dilation: int = 1) -> MaskMod:
    """Neighborhood attention over row-major tokens of `shape`: the `window` nearest keys on every axis.

    Near an edge the window moves inward and keeps its size. With a dilation it counts only tokens
    that lie a multiple of `dilation` from the query; every extent must be a multiple of it.
    """

    def mask(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        visible: Tensor | None = None
        for extent, size in zip(reversed(shape), reversed(window), strict=True):
            query, on_query = _split(query, extent)
            key, on_key = _split(key, extent)
            near = _axis(on_query, on_key, extent, size, dilation)
            visible = near if visible is None else visible & near
        assert visible is not None
        return visible

    return mask


def _axis(query: Tensor, key: Tensor, extent: int, window: int, dilation: int) -> Tensor:
    """One axis of `neighborhood`, for coordinates on that axis."""
    query, query_residue = _split(query, dilation)
    key, key_residue = _split(key, dilation)
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
