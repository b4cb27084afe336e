"""Routes on a GPU: selection and attention beside attention over a known plan, and beside dense attention.

FlexAttention is given the plan of the first call as a mask of blocks, without selection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attndsl.ir.plan import Plan
from benchmarks.flex_masks import MaskMod
from benchmarks.gpu_cases import STATIC, Dtype, GpuCase
from benchmarks.gpu_check import difference
from benchmarks.gpu_tensors import inputs_on, random_tensors

FEW = 2048
"""Tokens at which results are compared with the denotation."""

BEFORE = 5
"""Cases that say more."""


def plans_of(case: GpuCase, device: str) -> Plan | Mapping[str, Plan]:
    """What the case's route selects from its tensors."""
    q, k, v = random_tensors(case, device)
    names = inputs_on(case, device)
    found: Plan | Mapping[str, Plan] = case.bound.plan(q, k, v, **names)
    return found


def listed_blocks(case: GpuCase, device: str) -> MaskMod:
    """Keys up to the query in the blocks that the case's plan lists for the query."""
    plan = plans_of(case, device)
    assert isinstance(plan, Plan)
    lists = torch.as_tensor(plan.indices, device=device)[0].long()
    table = torch.zeros((*lists.shape[:2], plan.key_units + 1), dtype=torch.bool, device=device)
    table.scatter_(2, torch.where(lists < 0, plan.key_units, lists), True)
    size = plan.kv_block

    def mask(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key <= query) & table[head, query, key // size]

    return mask


def routed_case(
    name: str, pattern: str, numbers: dict[str, Any], head_dim: int = 128, dtype: Dtype = "bfloat16"
) -> GpuCase:
    """A case with random gates and projections for what the pattern declares."""
    chance = np.random.default_rng(0)
    plain = GpuCase(name, "routed", pattern, numbers, None, head_dim=head_dim, dtype=dtype)
    sizes = {"query": plain.tokens, "heads": plain.heads, "dim": head_dim}
    inputs = {
        each.name: chance.standard_normal([sizes[str(axis)] for axis in each.shape]).astype(np.float32)
        for each in plain.bound.ir.inputs
    }
    case = replace(plain, inputs=inputs)
    return replace(case, mask=lambda device: listed_blocks(case, device)) if pattern == "moba" else case


def error_of_few(case: GpuCase, device: str) -> float:
    """The largest error of the pattern over few tokens, with the plan that it selects for them."""
    numbers = case.numbers | {"shape": min(FEW, case.tokens)}
    few = routed_case(case.name, case.pattern, numbers, case.head_dim, case.dtype)
    given, inputs, plan = random_tensors(few, device), inputs_on(few, device), plans_of(few, device)
    out = few.bound(*given, plan=plan, **inputs)
    exact = few.bound.reference(*given, plan=plan, **inputs)
    return difference((out,), (exact,))


_LONG = 2**15
_ROUTED = [
    routed_case("moba-32k", "moba", {"shape": _LONG, "heads": 16, "block": 512, "topk": 4}),
    routed_case("nsa-32k", "nsa", {"shape": _LONG, "heads": 16, "kv_heads": 4}),
    routed_case("sla-32k", "sla", {"shape": _LONG, "heads": 16}),
]

CASES = [*STATIC[:BEFORE], *_ROUTED, *STATIC[BEFORE:]]
"""All cases, in the order to measure them."""
