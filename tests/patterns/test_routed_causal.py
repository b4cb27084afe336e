"""Causal patterns with routes choose from the past: what comes later, numbers or not, changes no list."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import attndsl
from attndsl.ir.plan import Plan

TOKENS, PAST = 128, 64
CAUSAL: dict[str, dict[str, Any]] = {
    "delta": {"page": 8, "pages": 3, "last": 1},
    "dhsa": {"query_block": 32, "budget": 20, "local": 4},
    "dma": {"window": 9},
    "hip": {"mask_k": 8, "block_k": 4, "block_q": 16},
    "moba": {"block": 16, "topk": 3},
    "nsa": {"block": 16, "n_sel": 3, "window": 24},
    "xattention": {"block": 16, "stride": 4, "tau": 0.6},
}
INPUTS: dict[str, dict[str, Tensor]] = {
    "dhsa": {"chunk": torch.arange(TOKENS, dtype=torch.int32) // 8},
    "dma": {"bias": torch.randn(4, TOKENS, generator=torch.Generator().manual_seed(0))},
}


@pytest.mark.parametrize("later", [torch.nan, torch.inf, 1e30])
@pytest.mark.parametrize("name", CAUSAL)
def test_later_blocks_do_not_change_what_is_selected(name: str, later: float) -> None:
    torch.manual_seed(0)
    bound = attndsl.pattern(name).bind(shape=TOKENS, heads=4, kv_heads=2, **CAUSAL[name])
    q, k, v = (torch.randn(2, heads, TOKENS, 16) for heads in (4, 2, 2))
    inputs: dict[str, Any] = {key: value.clone() for key, value in INPUTS.get(name, {}).items()}
    wanted = past(bound.plan(q, k, v, **inputs))
    for each in (q, k, v):
        each[:, :, PAST:] = later
    if "bias" in inputs:
        inputs["bias"][:, PAST:] = later
    assert np.array_equal(past(bound.plan(q, k, v, **inputs)), wanted)


def past(found: Any) -> np.ndarray[Any, Any]:
    """The pairs of the first queries that the plan lists."""
    plan: Plan = found["selected"] if isinstance(found, dict) else found
    return plan.to_mask()[:, :, :PAST]
