"""Shipped patterns with routes equal their formulas: first the plan, then outputs and all gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import attndsl
from attndsl.ir.plan import Plan
from tests.patterns import routed_more
from tests.patterns.examples import examples
from tests.patterns.inputs import random_inputs
from tests.patterns.names import ROUTED
from tests.patterns.routed import PLANS as FIRST_PLANS
from tests.patterns.routed import Masks, output

TOLERANCE = {torch.float64: 1e-11, torch.float32: 4e-5}

EDGES: dict[str, dict[str, dict[str, Any]]] = {
    "moba": {
        "own block only": {"shape": 40, "heads": 1, "block": 8, "topk": 1},
        "more blocks than there are": {"shape": 40, "heads": 1, "block": 8, "topk": 9},
        "short last block": {"shape": 43, "heads": 2, "block": 8, "topk": 2},
        "one block": {"shape": 13, "heads": 1, "block": 16, "topk": 2},
        "blocks of one token": {"shape": 12, "heads": 2, "kv_heads": 1, "block": 1, "topk": 4},
        "one token": {"shape": 1, "heads": 1, "block": 8, "topk": 2},
    },
    "biformer": {
        "one region": {"shape": (6, 10), "heads": 2, "n_win": 2, "topk": 1},
        "all regions": {"shape": (6, 10), "heads": 2, "n_win": 2, "topk": 4},
        "more regions than there are": {"shape": (4, 8), "heads": 1, "n_win": 4, "topk": 99},
        "none": {"shape": (4, 8), "heads": 1, "n_win": 2, "topk": 0},
    },
    "dma": {
        "one key": {"shape": 20, "heads": 2, "window": 1},
        "all keys": {"shape": 20, "heads": 2, "window": 30},
    },
    "draft": {
        "nothing dropped": {"shape": (2, 6, 8), "heads": 2, "pool": (3, 4), "sparsity": 0.0},
        "all but one dropped": {"shape": (2, 6, 8), "text": 3, "heads": 1, "pool": (3, 4), "sparsity": 1.0},
        "empty rows": {"shape": (3, 6, 8), "heads": 2, "pool": (3, 4), "sparsity": 0.95},
        "short boxes": {"shape": (2, 5, 7), "text": 4, "heads": 2, "pool": (3, 4), "sparsity": 0.6},
    },
    "xattention": {
        "one block": {"shape": 16, "heads": 1, "block": 16, "stride": 4, "tau": 0.5},
        "own block only": {"shape": 64, "heads": 2, "block": 8, "stride": 4, "tau": 0.0},
        "all blocks": {"shape": 64, "heads": 2, "block": 8, "stride": 2, "tau": 1.0},
        "short last block": {"shape": 53, "heads": 2, "kv_heads": 1, "block": 8, "stride": 4, "tau": 0.7},
    },
    "sparge": {
        "a part of all blocks": {
            "shape": 96, "heads": 2, "bq": 16, "bk": 8, "sim": 0.05, "topk": 0.4, "cdf": 0.9
        },
        "at least one": {"shape": 96, "heads": 2, "bq": 16, "bk": 8, "sim": 0.1, "cdf": 0.0},
        "short last block": {
            "shape": 75, "heads": 2, "kv_heads": 1, "bq": 16, "bk": 8, "sim": 0.1, "cdf": 0.5
        },
        "nothing alike": {"shape": 64, "heads": 1, "bq": 16, "bk": 8, "sim": 0.99, "cdf": 0.5},
    },
    "vmoba": {
        "runs of frames": {"shape": (5, 4, 4), "heads": 2, "chunk": (2, 2, 2), "layout": 0, "topk": 2},
        "patches": {
            "shape": (3, 5, 6), "heads": 2, "chunk": (2, 2, 4), "layout": 1, "pool": "query", "topk": 2
        },
        "own block only": {"shape": (3, 4, 6), "heads": 2, "chunk": (2, 2, 3), "pool": "query", "topk": 1},
        "all heads compete": {"shape": (3, 4, 6), "heads": 3, "chunk": (2, 2, 3), "pool": "all", "topk": 2},
        "more blocks than there are": {"shape": (2, 4, 6), "heads": 2, "chunk": (2, 2, 3), "topk": 9},
        "share per query": {"shape": (2, 4, 6), "heads": 2, "chunk": (1, 2, 3), "pool": "query", "tau": 0.4},
        "share per head": {"shape": (2, 4, 6), "heads": 2, "chunk": (1, 2, 3), "tau": 0.25},
        "share of all": {"shape": (2, 4, 6), "heads": 2, "chunk": (1, 2, 3), "pool": "all", "tau": 0.5},
        "one other at least": {
            "shape": (2, 4, 6), "heads": 2, "chunk": (1, 2, 3), "pool": "query", "tau": 0.001
        },
    },
    "nsa": {
        "own block only": {"shape": 40, "heads": 2, "kv_heads": 1, "block": 8, "n_sel": 1, "window": 1},
        "all blocks": {"shape": 40, "heads": 2, "kv_heads": 2, "block": 8, "n_sel": 9, "window": 64},
        "short last block": {"shape": 37, "heads": 4, "kv_heads": 2, "block": 8, "n_sel": 2, "window": 5},
    },
    "sla": {
        "no critical block": {"shape": 64, "heads": 2, "bq": 16, "bk": 8, "keep": 0.0, "drop": 0.5},
        "all critical": {"shape": 64, "heads": 2, "bq": 16, "bk": 8, "keep": 1.0, "drop": 0.0},
        "no marginal block": {"shape": 64, "heads": 1, "bq": 8, "bk": 16, "keep": 0.5, "drop": 0.5},
        "short last block": {
            "shape": 75, "heads": 2, "kv_heads": 1, "bq": 16, "bk": 8, "keep": 0.2, "drop": 0.3
        },
    },
}  # fmt: skip
EDGES |= routed_more.EDGES
PLAN_EDGES: dict[str, dict[str, dict[str, Any]]] = {
    "biformer": {
        "one token": {"shape": (1, 1), "heads": 1, "n_win": 1, "topk": 1},
        "heads share keys": {"shape": (3, 10), "heads": 4, "kv_heads": 2, "n_win": 1, "topk": 1},
    },
    "dma": {
        "one token": {"shape": 1, "heads": 1, "window": 2},
        "heads share keys": {"shape": 21, "heads": 4, "kv_heads": 2, "window": 5},
    },
    "draft": {
        "one token": {"shape": (1, 1, 1), "heads": 1, "pool": (2, 2), "sparsity": 0.5},
        "heads share keys": {
            "shape": (2, 5, 3), "text": 1, "heads": 4, "kv_heads": 1, "pool": (2, 2), "sparsity": 0.9
        },
    },
    "nsa": {
        "one token": {"shape": 1, "heads": 1, "kv_heads": 1, "block": 4, "n_sel": 2, "window": 3},
        "blocks of one token": {
            "shape": 19, "heads": 4, "kv_heads": 1, "block": 1, "n_sel": 4, "window": 2
        },
    },
    "sla": {
        "one token": {"shape": 1, "heads": 1, "bq": 4, "bk": 2, "keep": 0.5, "drop": 0.1},
        "blocks of one token": {"shape": 9, "heads": 2, "bq": 1, "bk": 1, "keep": 0.3, "drop": 0.3},
    },
    "sparge": {
        "one token": {"shape": 1, "heads": 1, "bq": 4, "bk": 2, "sim": 0.1, "cdf": 0.5},
        "blocks that do not meet": {"shape": 50, "heads": 1, "bq": 7, "bk": 9, "sim": 0.05, "cdf": 0.6},
    },
    "svg_route": {
        "one token": {"shape": (1, 1), "heads": 1, "block": 1, "multiple": 2.0},
        "one block": {"shape": (3, 9), "heads": 2, "block": 128, "multiple": 2.0},
    },
    "vmoba": {
        "one token": {"shape": (1, 1, 1), "heads": 1, "chunk": (2, 2, 2), "topk": 2},
        "short boxes, share of all": {
            "shape": (3, 5, 7), "heads": 4, "kv_heads": 2, "chunk": (2, 3, 4), "pool": "all", "tau": 0.4
        },
    },
    "xattention": {
        "one token": {"shape": 1, "heads": 1, "block": 4, "stride": 2, "tau": 0.9},
        "short last group": {
            "shape": 102, "heads": 4, "kv_heads": 1, "block": 16, "stride": 8, "tau": 0.6
        },
    },
}  # fmt: skip
"""More settings of which plans alone are compared: kernels know nothing of where lists come from."""
PLANS = FIRST_PLANS | routed_more.PLANS
SETTINGS = {
    f"{name}: {what}": (name, setting)
    for name in ROUTED
    for what, setting in [("small", examples(name)["small"]), *EDGES[name].items()]
}

ALL_SETTINGS = SETTINGS | {
    f"{name}: {what}": (name, setting) for name, each in PLAN_EDGES.items() for what, setting in each.items()
}


def test_every_routed_pattern_has_a_formula_and_edge_cases() -> None:
    assert ROUTED == sorted(PLANS) == sorted(EDGES)


class Call:
    """A bound pattern, tensors for it, and what the formula says of them."""

    def __init__(self, name: str, setting: dict[str, Any], dtype: torch.dtype) -> None:
        torch.manual_seed(len(str(setting)))
        self.name, self.setting = name, setting
        self.bound = attndsl.pattern(name).bind(**setting)
        ir = self.bound.ir
        heads = ir.heads, ir.kv_heads, ir.kv_heads
        tensors = [torch.randn(2, each, ir.query_space.size, 16, dtype=dtype) for each in heads]
        self.tensors = [each.requires_grad_() for each in tensors]
        self.inputs = {
            key: value.to(dtype).requires_grad_() if value.is_floating_point() else value
            for key, value in random_inputs(ir, 16).items()
        }
        self.leaves = [each for each in (*tensors, *self.inputs.values()) if each.requires_grad]

    def run(self, function: Callable[..., Any]) -> Any:
        return function(*self.tensors, **self.inputs)

    def plans(self) -> dict[str, Plan]:
        found = self.run(self.bound.plan)
        return found if isinstance(found, dict) else {"": found}

    def wide(self) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The tensors in float64, keys and values repeated for the heads that share them."""
        q, k, v = (each.double() for each in self.tensors)
        group = q.shape[1] // k.shape[1]
        wide = [q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)]
        return wide, {
            key: value.double() if value.is_floating_point() else value for key, value in self.inputs.items()
        }

    def masks(self) -> Masks:
        (q, k, v), inputs = self.wide()
        return PLANS[self.name](q, k, self.setting, inputs | {"v": v})

    def output(self) -> Tensor:
        tensors, inputs = self.wide()
        q, k, v = tensors
        return output(self.name, q, k, v, self.masks(), self.setting, inputs)


@pytest.mark.parametrize("case", ALL_SETTINGS)
def test_the_plan_equals_the_published_selection(case: str) -> None:
    call = Call(*ALL_SETTINGS[case], torch.float64)
    plans, expected = call.plans(), call.masks()
    assert sorted(plans) == sorted(expected)
    for branch, plan in plans.items():
        bound = call.bound.branches[branch] if branch else call.bound
        mask = plan.of_heads(bound.ir.heads) & bound.mask()
        wrong = np.argwhere(np.broadcast_to(mask, expected[branch].shape) != expected[branch])
        assert wrong.tolist() == [], "wrong at (batch, head, query, key)"


COMPILED = "moba: small", "sla: small", "dma: small"


def runs() -> Iterator[Any]:
    """All cases in double precision, and one for each kind of kernel, which is compiled, in single."""
    for case in SETTINGS:
        for dtype in TOLERANCE:
            is_fast = dtype == torch.float64 or case in COMPILED
            marks = [] if is_fast else [pytest.mark.slow]
            yield pytest.param(case, dtype, marks=marks, id=f"{case}, {dtype}".replace("torch.", ""))


@pytest.mark.parametrize(("case", "dtype"), list(runs()))
def test_outputs_and_gradients(case: str, dtype: torch.dtype) -> None:
    call = Call(*SETTINGS[case], dtype)
    out, wanted = call.run(call.bound), call.output()
    assert out.dtype == dtype
    compare(out, wanted, dtype)
    seed = torch.randn_like(out)
    found = torch.autograd.grad(out, call.leaves, seed)
    expected = torch.autograd.grad(wanted, call.leaves, seed.double())
    for mine, theirs in zip(found, expected, strict=True):
        compare(mine, theirs, dtype)


@pytest.mark.parametrize("name", ROUTED)
def test_the_reference_equals_the_formula(name: str) -> None:
    call = Call(name, examples(name)["small"], torch.float64)
    compare(call.run(call.bound.reference), call.output(), torch.float64)


def compare(found: Tensor, wanted: Tensor, dtype: torch.dtype) -> None:
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(found.double(), wanted.double(), atol=tolerance, rtol=tolerance)
