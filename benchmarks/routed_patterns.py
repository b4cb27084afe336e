"""Selection and attention of the library's patterns: the table of `python -m benchmarks.routed --patterns`.

Patterns are bound as in their examples for long inputs, but with 4 heads of 64 channels, and no more tokens
than dense attention takes seconds for. Tensors are random: rules that keep a share of the scores keep much
more than they do of real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

import attndsl
from benchmarks.timing import speedup, take_turns

HEADS, CHANNELS = 4, 64
LONG = 16384
CLUSTERS = 64
"""Of the Routing Transformer, each of 256 tokens, so that there are as many members as tokens."""

Inputs = dict[str, Any]


def _none(tokens: int) -> Inputs:
    return {}


def _gates(tokens: int) -> Inputs:
    return {name: torch.randn(tokens, HEADS) for name in ("g_cmp", "g_slc", "g_swa")}


def _bias(tokens: int) -> Inputs:
    return {"bias": torch.rand(HEADS, tokens)}


def _chunks(tokens: int) -> Inputs:
    """Chunks of 32 tokens on average."""
    return {"chunk": (torch.rand(tokens) < 1 / 32).cumsum(0).int()}


def _centroids(tokens: int) -> Inputs:
    return {"centroids": torch.nn.functional.normalize(torch.randn(HEADS, CLUSTERS, CHANNELS), dim=-1)}


def _projection(tokens: int) -> Inputs:
    return {"w": torch.randn(CHANNELS, CHANNELS), "b": torch.randn(CHANNELS)}


@dataclass(frozen=True)
class Case:
    """A pattern of the library. causal: what dense attention stands beside it."""

    pattern: str
    shape: int | tuple[int, ...] = LONG
    causal: bool = True
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: Callable[[int], Inputs] = _none


CASES = [
    Case("moba", parameters={"block": 256, "topk": 4}),
    Case("nsa", inputs=_gates),
    Case("xattention"),
    Case("dhsa", inputs=_chunks),
    Case("delta"),
    Case("dma", inputs=_bias),
    Case("routing_transformer", parameters={"clusters": CLUSTERS, "window": 256}, inputs=_centroids),
    Case("minference", 8192),
    Case("hip", 4096, parameters={"block_k": 16}),
    Case("sparge", causal=False),
    Case("sla", causal=False, inputs=_projection),
    Case("vmoba", (8, 32, 64), False, {"chunk": (4, 16, 16), "topk": 5}),
    Case("draft", (4, 48, 80), False, {"text": 256, "pool": (8, 16)}),
    Case("biformer", (56, 56), False, {"n_win": 7, "topk": 4}),
]


def patterns_table(rounds: int, names: Sequence[str]) -> Iterator[str]:
    """The lines of a table in Markdown, of the patterns with these names, or all. Times in milliseconds."""
    columns = ("pattern", "tokens", "kept", "selection", "whole call", "of selection", "dense", "speedup")
    yield _line(columns)
    yield _line(["---"] * len(columns))
    for case in CASES:
        if not names or case.pattern in names:
            yield _line(measure(case, rounds))


def measure(case: Case, rounds: int) -> list[str]:
    """A row of the table."""
    bound = attndsl.pattern(case.pattern).bind(case.shape, heads=HEADS, **case.parameters)
    tokens = bound.ir.query_space.size
    q, k, v = torch.randn(3, 1, HEADS, tokens, CHANNELS)
    inputs = case.inputs(tokens)
    plan = bound.plan(q, k, v, **inputs)
    contenders: dict[str, Callable[[], object]] = {
        "selection": lambda: bound.plan(q, k, v, **inputs),
        "call": lambda: bound(q, k, v, **inputs),
        "dense": partial(scaled_dot_product_attention, q, k, v, is_causal=case.causal),
    }
    seconds = take_turns(contenders, rounds, calls=1)
    selection, call, dense = (f"{1e3 * median(each):.0f}" for each in seconds.values())
    part = 1 / speedup(seconds["call"], seconds["selection"])
    times = f"{speedup(seconds['dense'], seconds['call']):.1f}x"
    return [case.pattern, f"{tokens:,}", f"{_kept(plan):.1%}", selection, call, f"{part:.0%}", dense, times]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def new(plan: Any) -> Any:
    """The same plan in memory of its own: what kernels remember of a plan does not serve it."""
    if isinstance(plan, dict):
        return {name: new(each) for name, each in plan.items()}
    return replace(plan, indices=plan.indices.clone())


def _kept(plan: Any) -> float:
    plans = plan.values() if isinstance(plan, dict) else [plan]
    return max(float(each.kept) for each in plans)
