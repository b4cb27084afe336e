"""A plan as operators take it: its arrays by name, among the inputs of a call, and its sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from attndsl.ir.plan import Plan

PREFIX = "plan."
"""What begins the names of a plan's arrays among the inputs of a call. Declared inputs have no dot."""

RANKS = {"plan.indices": 3, "plan.counts": 2, "plan.q_units": 2, "plan.kv_units": 2}
"""The dimensions of a plan's arrays without that of the batch, which units do not have."""


def arrays_of(plan: Plan, device: torch.device) -> dict[str, Tensor]:
    """The arrays of a plan by name, on a device."""
    return {PREFIX + name: _tensor(value, device) for name, value in plan.arrays.items()}


def _tensor(value: Any, device: torch.device) -> Tensor:
    """On the device of the queries. NumPy arrays are copied: torch would not see that they were changed."""
    return value.to(device) if isinstance(value, Tensor) else torch.tensor(value, device=device)


def places_in(table: Tensor, tokens: int) -> Tensor:
    """Where each of so many tokens stands in a table of units, read row by row; int64 [tokens].

    table: [units, most], -1 for no token. The host does not wait for a device.
    """
    flat = table.flatten().long()
    owner = torch.where(flat < 0, tokens, flat)  # what is no token goes to the last place
    places = torch.arange(len(flat), device=flat.device)
    return flat.new_zeros(tokens + 1).scatter(0, owner, places)[:-1]


def plan_in(sizes: Sequence[int], inputs: Mapping[str, Tensor]) -> Plan:
    """The plan among the inputs of a call."""
    queries, keys, q_block, kv_block = sizes
    indices, counts, q_units, kv_units = (inputs.get(name) for name in RANKS)
    return Plan(queries, keys, q_block, kv_block, indices, counts, q_units, kv_units)
