"""The Triton kernels that join what tiles of gathered queries computed of each query.

Both own some queries of one head, and look up in which rows each of them stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from attndsl.codegen.triton_tokens import power_of_two
from attndsl.runtime.triton_interpreter import interprets, repair_interpreter

if interprets():
    repair_interpreter()

QUERIES, WARPS = 32, 4
"""Of a program."""


@triton.jit  # type: ignore[untyped-decorator]
def _merge(
    parts: Any, totals: Any, places: Any, out: Any, lse: Any,
    tokens: Any, rows: Any, most: Any, list_stride: Any, heads: Any,
    channels: tl.constexpr, padded: tl.constexpr, queries: tl.constexpr,
) -> None:  # fmt: skip
    """The output and LSE of each query from those of its rows; 0 and -inf where it has none."""
    head, query = tl.program_id(1).to(tl.int64), tl.program_id(0) * queries + tl.arange(0, queries)
    exists, channel = query < tokens, tl.arange(0, padded)[None, :]
    own_places = places + head // heads * list_stride + query.to(tl.int64) * most
    highest = tl.full([queries], float("-inf"), tl.float32)
    total = tl.zeros([queries], tl.float32)
    result = tl.zeros([queries, padded], tl.float32)
    for number in tl.range(0, most):
        place = tl.load(own_places + number, mask=exists, other=-1).to(tl.int64)
        row = head * rows + place
        part_lse = tl.load(totals + row, mask=place >= 0, other=float("-inf"))
        found = part_lse > float("-inf")
        highest_now = tl.maximum(highest, part_lse)
        base = tl.where(highest_now > float("-inf"), highest_now, 0.0)
        rescale, weight = tl.exp(highest - base), tl.exp(part_lse - base)
        mask = found[:, None] & (channel < channels)
        part = tl.load(parts + row[:, None] * channels + channel, mask=mask, other=0.0)
        result = result * rescale[:, None] + part * weight[:, None]
        total = total * rescale + weight
        highest = highest_now
    normaliser = tl.where(total > 0.0, 1.0 / total, 0.0)
    row = head * tokens + query
    mask = exists[:, None] & (channel < channels)
    tl.store(out + row[:, None] * channels + channel, result * normaliser[:, None], mask=mask)
    tl.store(lse + row, tl.where(total > 0.0, highest + tl.log(total), float("-inf")), mask=exists)


@triton.jit  # type: ignore[untyped-decorator]
def _add_up(
    parts: Any, places: Any, out: Any,
    tokens: Any, rows: Any, most: Any, list_stride: Any, heads: Any,
    channels: tl.constexpr, padded: tl.constexpr, queries: tl.constexpr,
) -> None:  # fmt: skip
    """The sum of each query's rows."""
    head, query = tl.program_id(1).to(tl.int64), tl.program_id(0) * queries + tl.arange(0, queries)
    exists, channel = query < tokens, tl.arange(0, padded)[None, :]
    own_places = places + head // heads * list_stride + query.to(tl.int64) * most
    result = tl.zeros([queries, padded], tl.float32)
    for number in tl.range(0, most):
        place = tl.load(own_places + number, mask=exists, other=-1).to(tl.int64)
        row = (head * rows + place)[:, None] * channels
        mask = (place >= 0)[:, None] & (channel < channels)
        result += tl.load(parts + row + channel, mask=mask, other=0.0)
    row = (head * tokens + query)[:, None] * channels
    tl.store(out + row + channel, result, mask=exists[:, None] & (channel < channels))


def join(places: Tensor, rows: Sequence[Tensor], results: Sequence[Tensor]) -> None:
    """Write results of queries, [lists, heads, queries, ..], from those of rows, [lists, heads, rows, ..].

    They are one tensor, to be added up, or an output and its LSE, to be merged; all are contiguous. places:
    [lists, queries, most], the rows of each query, -1 where there are fewer.
    """
    lists, heads, tokens, channels = results[0].shape
    kernel = _merge if len(rows) > 1 else _add_up
    grid = triton.cdiv(tokens, QUERIES), lists * heads
    kernel[grid](
        *rows, places, *results, tokens, rows[0].shape[2], places.shape[2], places.stride(0), heads,
        channels=channels, padded=power_of_two(channels), queries=QUERIES, num_warps=WARPS,
    )  # fmt: skip
