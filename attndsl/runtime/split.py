"""A few queries against many keys, split over keys so that all threads have work.

Ranges of keys are batch elements of one kernel; their results are merged by their log-sum-exps, which is
exact. Ranges in which interval analysis proves that nothing is visible are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import Expr, Head, InputAt
from attndsl.ir.intervals import UNKNOWN_NUMBER, Truth, Value, between, evaluate
from attndsl.passes.placed import placed
from attndsl.runtime.checks import wide_type
from attndsl.runtime.targets import Target

RANGES = (1024, 256, 64)
"""Keys of a range, tried in this order until all threads have work."""

MOST_RUNS = 4
"""Runs of ranges that are read where they lie; more of them are copied together."""

Part = tuple[Tensor, Tensor]
"""Output [ranges, heads, queries, Dv] and log-sum-exp [ranges, heads, queries]."""


class Split:
    """The split kernels of a bound pattern."""

    def __init__(self, ir: BoundIR, bind: Callable[[BoundIR], Target]) -> None:
        self.ir, self.bind = ir, bind
        region = placed(ir, 1, 1).regions[0]
        self.visible = region.visible
        roots = (region.visible, *region.terms, ir.weighting.score)
        self.per_head = any(Head() in root.leaves for root in roots)
        self._bound: dict[tuple[int, ...], Target] = {}

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, scale: float, inputs: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Output [batch, heads, queries, Dv] and log-sum-exp [batch, heads, queries]."""
        group = 1 if self.per_head else q.shape[1] // k.shape[1]
        batch, heads, count, _ = q.shape
        # query heads that share keys are rows of one tile
        rows = q.reshape(batch, heads // group, group * count, -1)
        parts = [
            self._element(rows[b], k[b], v[b], scale, {n: _element(t, b) for n, t in inputs.items()}, group)
            for b in range(len(q))
        ]
        out, lse = (torch.stack(each) for each in zip(*parts, strict=True))
        return out.view(batch, heads, count, -1), lse.view(batch, heads, count)

    def _element(
        self, q: Tensor, k: Tensor, v: Tensor, scale: float, inputs: Mapping[str, Tensor], group: int
    ) -> Part:
        """One batch element: q [heads, rows, D], k and v [kv_heads, keys, channels]."""
        size = self._size_of_ranges(k)
        of_keys = {name for name in inputs if name.endswith("key") or name == "key_position"}
        queries = {name: inputs[name].repeat(group) for name in inputs if name not in of_keys}
        keys = {name: inputs[name] for name in of_keys}
        parts: list[Part] = []
        for part_k, part_v, part_keys in _ranges(k, v, keys, size):
            kept = np.flatnonzero(self._may_see(queries, part_keys))
            for run in _runs(kept):
                chosen = {name: value[run] for name, value in part_keys.items()}
                parts.append(self._attend(q, part_k[run], part_v[run], scale, queries | chosen))
        return merge(parts, q, v)

    def _size_of_ranges(self, k: Tensor) -> int:
        heads, keys, _ = k.shape
        wanted = 4 * torch.get_num_threads()
        return next((size for size in RANGES if keys // size * heads >= wanted), RANGES[-1])

    def _may_see(self, queries: Mapping[str, Tensor], keys: Mapping[str, Tensor]) -> NDArray[np.bool_]:
        """For each range of keys, whether a query may see one of them."""
        count = len(next(iter(keys.values())))
        bounds = {name: _bounds(value.reshape(1, -1)) for name, value in queries.items()}
        bounds |= {name: _bounds(value) for name, value in keys.items()}

        def leaf(node: Expr) -> Value:
            if isinstance(node, InputAt):
                return bounds[node.name]
            return between(0, self.ir.heads - 1)

        found = evaluate(self.visible, leaf)
        assert isinstance(found, Truth)
        return np.broadcast_to(found.may_hold, (count,))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, scale: float, inputs: Mapping[str, Tensor]) -> Part:
        """The queries over each of some ranges: k and v [ranges, kv_heads, keys, channels]."""
        ranges, kv_heads, keys, _ = k.shape
        counts = q.shape[1], keys, len(q), kv_heads
        if counts not in self._bound:
            ir = replace(placed(self.ir, *counts[:2]), heads=counts[2], kv_heads=counts[3])
            self._bound[counts] = self.bind(ir)
        queries = q.expand(ranges, *q.shape)
        return self._bound[counts].kernel_for(queries, k, v).compute(queries, k, v, scale, inputs)


def merge(parts: list[Part], q: Tensor, v: Tensor) -> Part:
    """The attention over all keys from that over ranges of them."""
    if not parts:
        kind = wide_type(q.dtype)
        lse = q.new_full(q.shape[:2], -torch.inf, dtype=kind)
        return q.new_zeros((*q.shape[:2], v.shape[2])), lse
    out, lse = (torch.cat(each) for each in zip(*parts, strict=True))
    if len(out) == 1:
        return out[0], lse[0]
    total = torch.logsumexp(lse, 0)
    weights = torch.exp(lse - torch.where(total == -torch.inf, 0.0, total))
    merged = (weights.unsqueeze(-1) * out.to(weights.dtype)).sum(0)
    return merged.to(out.dtype), total


def _ranges(
    k: Tensor, v: Tensor, keys: Mapping[str, Tensor], size: int
) -> list[tuple[Tensor, Tensor, dict[str, Tensor]]]:
    """Ranges of `size` keys as batch elements: all whole ones, and one that ends with the last key."""
    whole, rest = divmod(k.shape[1], size)
    cut = whole * size
    found = []
    if whole:
        values = {name: value[:cut].view(whole, size) for name, value in keys.items()}
        found.append((_cut(k, whole, size), _cut(v, whole, size), values))
    if rest:
        missing = size - rest
        first = max(cut - missing, 0)
        last = [each[:, first:] for each in (k, v)]
        values = {name: value[first:].clone() for name, value in keys.items()}
        values["key_position"][: cut - first] = -1  # these belong to the ranges before
        if not whole:
            last = [torch.nn.functional.pad(each, (0, 0, 0, missing)) for each in last]
            values = {name: _lengthened(name, value, missing) for name, value in values.items()}
        found.append(
            (last[0].unsqueeze(0), last[1].unsqueeze(0), {n: x.unsqueeze(0) for n, x in values.items()})
        )
    return found


def _cut(tensor: Tensor, count: int, size: int) -> Tensor:
    """The first `count` ranges, [count, heads, size, channels], without a copy."""
    heads, _, channels = tensor.shape
    return tensor[:, : count * size].view(heads, count, size, channels).transpose(0, 1)


def _lengthened(name: str, value: Tensor, missing: int) -> Tensor:
    """Values for keys that do not exist."""
    return torch.cat([value, value.new_full((missing,), -1 if name == "key_position" else 0)])


def _runs(kept: NDArray[np.intp]) -> list[slice | NDArray[np.intp]]:
    """Numbers as slices, or as they are where that would be many."""
    if not len(kept):
        return []
    breaks = np.flatnonzero(np.diff(kept) > 1) + 1
    if len(breaks) >= MOST_RUNS:
        return [kept]
    return [slice(int(part[0]), int(part[-1]) + 1) for part in np.split(kept, breaks)]


def _bounds(values: Tensor) -> Value:
    """The least and the largest value of each row, [rows]."""
    array = values.cpu().numpy()
    if array.dtype == bool:
        return Truth(np.asarray(array.any(-1)), np.asarray(~array.all(-1)))
    if array.dtype.kind == "f":
        return UNKNOWN_NUMBER
    return between(array.min(-1), array.max(-1))


def _element(tensor: Tensor, batch: int) -> Tensor:
    return tensor[batch] if tensor.ndim == 2 else tensor
