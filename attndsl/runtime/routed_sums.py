"""Linear weights over the blocks of a plan: a state per block of keys, added up for each block of queries.

Where weights are products, a block of keys reaches a query through one state only, S = k^T v summed over the
block. So states are made once, a block of queries adds those of the blocks that it lists, and its queries are
multiplied by that sum. Sums of states are one product of matrices: zeros and ones [blocks of queries, blocks
of keys], and states [blocks of keys, D * Dv]. What is listed is added, even where it is nearly everything:
the sum of all less the rest would be a difference of large numbers. Source: J. Zhang et al., SLA, 2025
(arXiv:2509.24006).

Some heads are computed at a time or, where one head has many blocks, some channels of its values and some
blocks of its queries. The backward pass makes states and sums again, so that none are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from attndsl.ir.plan import Array, Plan, unit_count
from attndsl.runtime.checks import wide_type
from attndsl.runtime.plan_inputs import places_in

MOST_NUMBERS = 2**24
"""Numbers of all states, and of their sums, that exist at once: 64 MiB each in float32."""


def sums_of_blocks(plan: Plan, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """The weighted sum of the values that each query's block lists; the mask hides nothing.

    q: [batch, heads, queries, D]; k: [batch, kv_heads, keys, D]; v: [batch, kv_heads, keys, Dv], after
    feature maps. Returns [batch, heads, queries, Dv] in float32, in float64 for float64. Differentiable.
    """
    queries = _Units.of(plan.queries, plan.q_block, plan.q_units, q.device)
    keys = _Units.of(plan.keys, plan.kv_block, plan.kv_units, q.device)
    group, dim = q.shape[1] // k.shape[1], q.shape[3]
    batches, heads, channels = _at_once(keys.count * dim, len(q), k.shape[1], v.shape[3])
    rows = max(1, MOST_NUMBERS // (batches * heads * group * (keys.count + dim * channels)))

    def part(lists: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        states = (keys.cut(k).mT @ keys.cut(v)).flatten(3)
        run = _recomputed if queries.count > rows else _directly
        some = partial(run, _of_rows, states)
        return queries.joined(_by_parts(some, (lists, queries.cut(q) * scale), (rows, rows), 2))

    def some_heads(lists: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return _by_parts(partial(_recomputed, part, lists, q, k), (v,), (channels,), 3)

    sizes = (heads * group, heads * group, heads, heads)

    def some_elements(*given: Tensor) -> Tensor:
        return _by_parts(some_heads, given, sizes, 1)

    return _by_parts(some_elements, (_lists(plan, q), q, k, v), (batches,) * 4, 0)


def _at_once(states: int, batch: int, heads: int, channels: int) -> tuple[int, int, int]:
    """How many elements of a batch, heads of keys and channels of values are computed at once.

    states: numbers per head and channel of values.
    """
    per_head = max(1, states * channels)
    if per_head > MOST_NUMBERS:
        return 1, 1, max(1, MOST_NUMBERS // states)
    if per_head * heads > MOST_NUMBERS:
        return 1, MOST_NUMBERS // per_head, max(1, channels)
    return max(1, min(batch, MOST_NUMBERS // (per_head * heads))), heads, max(1, channels)


def _by_parts(
    function: Callable[..., Tensor], tensors: Sequence[Tensor], sizes: Sequence[int], dim: int
) -> Tensor:
    """The values for parts of the tensors side by side, joined; sizes: of the parts of each tensor."""
    cut = (torch.split(each, size, dim) for each, size in zip(tensors, sizes, strict=True))
    found = [function(*parts) for parts in zip(*cut, strict=True)]
    return found[0] if len(found) == 1 else torch.cat(found, dim)


def _lists(plan: Plan, q: Tensor) -> Tensor:
    """The lists of every head, [batch, heads, blocks of queries, most]."""
    indices = torch.as_tensor(plan.indices).to(q.device).long()
    indices = indices.expand(len(q), *indices.shape[1:])
    return indices if plan.heads == q.shape[1] else indices.repeat_interleave(q.shape[1] // plan.heads, 1)


def _of_rows(states: Tensor, lists: Tensor, queries: Tensor) -> Tensor:
    """The output of some blocks of queries, [batch, heads, blocks, tokens, Dv].

    states: [batch, kv_heads, blocks of keys, D * Dv]. queries: [batch, heads, blocks, tokens, D].
    """
    batch, kv_heads, blocks, numbers = states.shape
    heads, rows = lists.shape[1:3]
    listed = states.new_zeros(batch, heads, rows, blocks + 1)  # the last one is where padding goes
    listed = listed.scatter(3, torch.where(lists < 0, blocks, lists), 1.0)[..., :blocks]
    sums = listed.reshape(batch, kv_heads, heads // kv_heads * rows, blocks) @ states
    dim = queries.shape[4]
    return queries @ sums.reshape(batch, heads, rows, dim, numbers // max(dim, 1))


def _directly(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    return function(*tensors)


def _recomputed(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """The function's value, of which a backward pass keeps nothing but its arguments."""
    watched = torch.is_grad_enabled() and any(each.requires_grad for each in tensors)
    if not watched or torch._C._are_functorch_transforms_active():
        return function(*tensors)
    found = checkpoint(function, *tensors, use_reentrant=False, preserve_rng_state=False)
    return torch.as_tensor(found)


@dataclass(frozen=True, eq=False)
class _Units:
    """The units of one side of a plan. table: int64 [units, block], their tokens; None for runs."""

    tokens: int
    block: int
    count: int
    table: Tensor | None

    @classmethod
    def of(cls, tokens: int, block: int, units: Array | None, device: torch.device) -> _Units:
        table = None if units is None else torch.as_tensor(units).to(device).long()
        return cls(tokens, block, unit_count(tokens, block, units), table)

    @cached_property
    def place(self) -> Tensor:
        """Where each token stands in the table."""
        assert self.table is not None
        return places_in(self.table, self.tokens)

    def cut(self, x: Tensor) -> Tensor:
        """[batch, heads, tokens, C] as [batch, heads, units, block, C], at least float32, 0 for no token."""
        x = x.to(wide_type(x.dtype))
        missing = self.count * self.block - self.tokens
        if self.table is None:
            x = torch.nn.functional.pad(x, (0, 0, 0, missing)) if missing else x
        else:
            x = x.index_select(2, self.table.clamp(min=0).flatten())
            x = x.masked_fill((self.table < 0).view(-1, 1), 0.0)
        return x.reshape(*x.shape[:2], self.count, self.block, x.shape[3])

    def joined(self, x: Tensor) -> Tensor:
        """The inverse of `cut`, for float32 or float64."""
        x = x.flatten(2, 3)
        return x[:, :, : self.tokens] if self.table is None else x.index_select(2, self.place)
