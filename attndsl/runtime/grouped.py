"""Attention inside of groups: members are gathered, attend among themselves, and their outputs are averaged.

Each group of each head is an element of a batch for one kernel, to which positions are data. What is gathered
is as much as the groups have members, and no tensor of all pairs exists. Autograd goes through gathering and
adding, and through the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR, pairs_only
from attndsl.ir.plan import Plan
from attndsl.passes.inside_group import ELEMENT, HEAD, OF_PAIR, POSITIONS, filled
from attndsl.passes.placed import input_names
from attndsl.runtime.attend_pairs import attend_pairs
from attndsl.runtime.finish import per_query, with_logit
from attndsl.runtime.group_target import group_target
from attndsl.runtime.outside_of_graphs import outside_of_graphs
from attndsl.runtime.routed_tokens import unit_table
from attndsl.runtime.transforms import refuse_derivatives


@dataclass(frozen=True, eq=False)
class Members:
    """The members of every group: int64 [batch, heads, groups, most], ascending, filled up with -1.

    tokens: how many there are in all.
    """

    places: Tensor
    tokens: int

    @classmethod
    def of(cls, plan: Plan, batch: int, heads: int, device: torch.device) -> Members:
        """The tokens that a plan of groups lists, for so many elements of a batch and heads."""
        places = _tokens(plan, torch.as_tensor(plan.indices, device=device).long())
        counts = (places >= 0).sum(-1)
        most = filled(int(counts.max()) if counts.numel() else 0)
        places = torch.nn.functional.pad(places, (0, max(most - places.shape[3], 0)), value=-1)[..., :most]
        places = places.repeat_interleave(heads // plan.heads, 1)
        return cls(places.expand(batch, -1, -1, -1), plan.keys)

    @property
    def most(self) -> int:
        """Members of the largest group, with what fills it up."""
        return int(self.places.shape[3])

    @property
    def positions(self) -> Tensor:
        """Where members stand, int64 [groups of all heads and elements, most], -1 for filling."""
        return self.places.flatten(0, 2)

    def rows(self, heads: int) -> Tensor:
        """The row of each member in a tensor [batch, heads, tokens] whose first dimensions are one."""
        batch, own = self.places.shape[:2]
        device = self.places.device
        of_batch = torch.arange(batch, device=device).view(-1, 1, 1, 1) * heads
        of_head = torch.arange(own, device=device).view(1, -1, 1, 1) // (own // heads)
        return ((of_batch + of_head) * self.tokens + self.places.clamp(min=0)).flatten()

    def gathered(self, tensor: Tensor) -> Tensor:
        """The members' rows of [batch, heads, tokens, channels], as [groups, 1, most, channels]."""
        rows = _rows(tensor.flatten(0, 2), self.rows(tensor.shape[1]))
        return rows.view(-1, 1, self.most, tensor.shape[3])

    def values(self, value: Tensor) -> Tensor:
        """The members' values of an input [tokens] or [batch, tokens], as [groups, most]."""
        batch, heads = self.places.shape[:2]
        value = value.to(self.places.device).expand(batch, self.tokens).unsqueeze(1).expand(-1, heads, -1)
        places = self.places.clamp(min=0).flatten(2)
        return value.gather(2, places).view(-1, self.most)

    def mean(self, rows: Tensor) -> Tensor:
        """The mean over groups of [groups, 1, most, channels], for tokens in no group 0, in `rows`' type.

        Returns [batch, heads, tokens, channels]; sums are at least float32.
        """
        batch, heads = self.places.shape[:2]
        count = batch * heads * self.tokens
        wide = (rows if rows.dtype == torch.float64 else rows.float()).reshape(-1, rows.shape[3])
        owners = torch.where(self.positions.flatten() >= 0, self.rows(heads), count)  # filling has none
        total = _added(wide, owners, count + 1)[:count]
        times = torch.bincount(owners, minlength=count + 1)[:count].clamp(min=1).unsqueeze(1)
        return (total / times).to(rows.dtype).view(batch, heads, self.tokens, rows.shape[3])


def _tokens(plan: Plan, units: Tensor) -> Tensor:
    """The tokens of lists of units, ascending, with -1 at the end. units: padded with -1."""
    if plan.kv_block == 1 and plan.kv_units is None:
        return units
    table = torch.from_numpy(unit_table(plan)).to(units.device)  # its last row is of no tokens
    tokens = table[units].flatten(3)
    tokens = tokens.masked_fill(tokens < 0, plan.keys).sort(-1).values
    return tokens.masked_fill(tokens == plan.keys, -1)


def _rows(table: Tensor, rows: Tensor) -> Tensor:
    """Some rows of a matrix. Their gradients are added in the same order each time, on every device."""
    if table.device.type == "cpu":
        return table.gather(0, rows.unsqueeze(1).expand(-1, table.shape[1]))
    return table[rows]


def _added(values: Tensor, rows: Tensor, count: int) -> Tensor:
    """A matrix of so many rows with values added to some, in the same order each time, on every device."""
    total = values.new_zeros((count, values.shape[1]))
    if values.device.type == "cpu":
        return total.scatter_add(0, rows.unsqueeze(1).expand_as(values), values)
    return total.index_put((rows,), values, accumulate=True)


@outside_of_graphs
def grouped_attention(
    ir: BoundIR, plans: Mapping[str, Plan], q: Tensor, k: Tensor, v: Tensor, scale: float,
    inputs: Mapping[str, Tensor], checked: Mapping[str, Tensor],
) -> Tensor:  # fmt: skip
    """The mean over its groups of what each query attends to inside of them, [batch, heads, queries, Dv].

    plans: of the members `queries` and `keys`. inputs: what kernels read. checked: all inputs, for sinks.
    Gates are left to the caller.
    """
    refuse_derivatives(q, k, v)
    if not q.numel():
        return q[..., :1].expand(*q.shape[:3], v.shape[3])
    sizes = len(q), ir.heads, q.device
    queries, keys = (Members.of(plans[name], *sizes) for name in ("queries", "keys"))
    target = group_target(pairs_only(ir), queries.most, keys.most)
    given = _inputs(ir, queries, keys, inputs)
    own = {each.name: given[each.name] for each in target.ir.inputs}
    tensors = queries.gathered(q), keys.gathered(k), keys.gathered(v)
    out, lse = attend_pairs(target, *tensors, scale, True, own)
    if ir.weighting.sink is not None:
        logit = per_query(ir, ir.weighting.sink, checked, lse.new_empty((*q.shape[:3], 1)))
        of_members = queries.gathered(logit.expand(*q.shape[:3], 1)).squeeze(3)
        out, _ = with_logit(ir, out, lse, of_members)
    return queries.mean(out)


def _inputs(ir: BoundIR, queries: Members, keys: Members, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inputs of the pattern inside of groups, those that it reads and others."""
    batch, heads, groups, _ = queries.places.shape
    device = queries.places.device
    number = torch.arange(batch * heads * groups, device=device) // groups
    found = {
        POSITIONS["query"]: queries.positions, POSITIONS["key"]: keys.positions,
        HEAD: (number % heads).unsqueeze(1).expand(-1, queries.most),
        ELEMENT: (number // heads).unsqueeze(1).expand(-1, queries.most),
    }  # fmt: skip
    members = {"q": queries, "k": keys}
    for declared in ir.kernel_inputs:
        value = inputs[declared.name]
        if len(declared.shape) > 1:
            whole = value if value.ndim > len(declared.shape) else value.unsqueeze(0)
            found[declared.name + OF_PAIR] = whole.expand(batch, *whole.shape[1:])
            continue
        for side, name in input_names(declared).items():
            found[name] = members[side].values(value)
    return found
