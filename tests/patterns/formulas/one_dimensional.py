"""Masks over a sequence of tokens, stated as the list of keys that each query sees."""

from __future__ import annotations

from math import prod

import numpy as np

from tests.patterns.formulas.tables import Mask, Numbers, from_keys


def full(shape: tuple[int, ...]) -> Mask:
    """Everything, in a space of any rank."""
    return np.ones((prod(shape), prod(shape)), dtype=bool)


def causal(shape: tuple[int]) -> Mask:
    """The lower triangle."""
    return np.tri(shape[0], dtype=bool)


def sliding_window(shape: tuple[int], left: int, right: int = 0) -> Mask:
    """A band: the lower triangle moved right, cut off `left` below the diagonal."""
    n = shape[0]
    return np.triu(np.tri(n, k=right, dtype=bool), k=-left)


def dilated_window(shape: tuple[int], left: int, dilation: int, right: int = 0) -> Mask:
    """Steps of `dilation` to both sides, as far as the sequence goes."""
    n = shape[0]
    steps = range(-left, right + 1)
    return from_keys([[i + dilation * m for m in steps if 0 <= i + dilation * m < n] for i in range(n)], n)


def streaming(shape: tuple[int], sink: int, window: int) -> Mask:
    """The last `window` keys, the query among them, and the first `sink`; none after the query."""
    n = shape[0]
    recent = [set(range(max(i - window + 1, 0), i + 1)) for i in range(n)]
    first = [set(range(min(sink, i + 1))) for i in range(n)]
    return from_keys([sorted(recent[i] | first[i]) for i in range(n)], n)


def prefix_lm(shape: tuple[int], prefix: int) -> Mask:
    """Row i shows as many keys as the larger of i + 1 and the prefix."""
    n = shape[0]
    return from_keys([range(min(max(i + 1, prefix), n)) for i in range(n)], n)


def document(shape: tuple[int], doc: Numbers, causal: bool = True) -> Mask:
    """One square per document, or its lower half."""
    mask = np.zeros((shape[0], shape[0]), dtype=bool)
    for name in np.unique(doc):
        tokens = np.flatnonzero(doc == name)
        square = np.ones((len(tokens), len(tokens)), dtype=bool)
        mask[np.ix_(tokens, tokens)] = np.tril(square) if causal else square
    return mask


def global_window(shape: tuple[int], left: int, right: int, n_global: int) -> Mask:
    """A band with the first rows and columns filled in."""
    mask = sliding_window(shape, left, right)
    mask[:n_global, :] = True
    mask[:, :n_global] = True
    return mask
