"""FlexAttention's masks, written from their descriptions: `mask_mod(b, h, q, kv)` says what is visible.

Every function here is valid for `torch.nn.attention.flex_attention`; those with an underscore inside take
what the example takes and return the `mask_mod`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def everything(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
    """All pairs."""
    return q >= 0


def causal(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
    """Keys up to the query."""
    return kv <= q


def sliding_window(window: int) -> MaskMod:
    """The query and `window` keys before it."""
    return lambda b, h, q, kv: (kv <= q) & (q - kv <= window)


def dilated_sliding_window(window: int, dilation: int) -> MaskMod:
    """Every `dilation`-th key up to `window` tokens away."""
    return lambda b, h, q, kv: ((q - kv).abs() <= window) & ((q - kv).abs() % dilation == 0)


def global_sliding_window(window: int, chosen: Tensor) -> MaskMod:
    """A window of `window` on both sides, and the pairs with a chosen token."""
    return lambda b, h, q, kv: ((q - kv).abs() <= window) | chosen[q] | chosen[kv]


def prefix_lm(prefix: int) -> MaskMod:
    """The first `prefix` keys, and those up to the query."""
    return lambda b, h, q, kv: (kv < prefix) | (kv <= q)


def block_diffusion(length: int, block: int) -> MaskMod:
    """`length` noised tokens, then as many clean ones, in blocks."""

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        ours, theirs = q % length // block, kv % length // block
        to_noised = (q < length) & (ours == theirs)
        to_clean = torch.where(q < length, theirs < ours, theirs <= ours)
        return torch.where(kv < length, to_noised, to_clean)

    return mask_mod


def tree(prefix: int, ancestors: Tensor) -> MaskMod:
    """All keys before `prefix`; behind it the nodes that are ancestors of the query's."""

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        return (kv < prefix) | ancestors[q, (kv - prefix).clamp(min=0)]

    return mask_mod


def drafts(prefix: int, block: int) -> MaskMod:
    """All keys before `prefix`; behind it the query's own block up to the query."""
    return lambda b, h, q, kv: (kv < prefix) | (((kv - prefix) // block == q // block) & (kv - prefix <= q))


def document(inner: MaskMod, ids: Tensor, starts: Tensor) -> MaskMod:
    """`inner` inside each document, at positions counted from its start. ids, starts: one per token."""
    return lambda b, h, q, kv: (ids[q] == ids[kv]) & inner(b, h, q - starts[q], kv - starts[kv])


def packed_document(starts: Tensor) -> MaskMod:
    """From the start of the query's document to the query."""
    return lambda b, h, q, kv: (kv >= starts[q]) & (kv <= q)


def shared_prefix(ids: Tensor, prompts: Tensor) -> MaskMod:
    """A document up to the query, and the whole document that it continues. prompts: one per document."""

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        continues = prompts[ids[q]] != ids[q]
        return ((ids[q] == ids[kv]) & (kv <= q)) | (continues & (ids[kv] == prompts[ids[q]]))

    return mask_mod


def stand_alone(width: int, window: int) -> MaskMod:
    """Pixels of a row-major image at most `window` rows and columns away."""

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        rows, columns = q // width - kv // width, q % width - kv % width
        return (rows.abs() <= window) & (columns.abs() <= window)

    return mask_mod


def batchify(inner: MaskMod, size: int) -> MaskMod:
    """`inner` inside groups of `size` tokens."""
    return lambda b, h, q, kv: (q // size == kv // size) & inner(b, h, q % size, kv % size)


def flamingo(intervals: Tensor, patches: int) -> MaskMod:
    """Image `i` has `patches` tokens; `intervals[i]` is the first query that sees it and the first after."""

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        return (q >= intervals[kv // patches, 0]) & (q < intervals[kv // patches, 1])

    return mask_mod


def both(first: MaskMod, second: MaskMod) -> MaskMod:
    """Pairs that both masks show."""
    return lambda b, h, q, kv: first(b, h, q, kv) & second(b, h, q, kv)


def chosen_tiles(tiles: Tensor, size: int) -> MaskMod:
    """Each tile of queries sees the tiles of keys in `tiles` [batch, heads, query tiles, count]."""

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        return (tiles[b, h, q // size] == (kv // size)[..., None]).any(-1)

    return mask_mod


def padded_tiles(sizes: Tensor, size: int) -> MaskMod:
    """Tiles of `size` keys, of which the first `sizes[tile]` exist."""
    return lambda b, h, q, kv: kv % size < sizes[kv // size]


def paged(inner: MaskMod, pages: Tensor, size: int) -> MaskMod:
    """`inner` at logical positions. pages [batch, physical pages]: the logical page of each, or -1."""

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        page = pages[b, kv // size]
        return (page >= 0) & inner(b, h, q, page * size + kv % size)

    return mask_mod


def late_key(block: int) -> MaskMod:
    """The first query sees no key of the first block."""
    return lambda b, h, q, kv: (q > 0) | (kv >= block)
