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


def plan_in(sizes: Sequence[int], inputs: Mapping[str, Tensor]) -> Plan:
    """The plan among the inputs of a call."""
    queries, keys, q_block, kv_block = sizes
    indices, counts, q_units, kv_units = (inputs.get(name) for name in RANKS)
    return Plan(queries, keys, q_block, kv_block, indices, counts, q_units, kv_units)
