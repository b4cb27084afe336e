"""Routes whose weights are linear: sums of the states of listed blocks equal the pairs that are listed."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import attndsl
from attndsl.ir.plan import Plan
from attndsl.pipeline import Bound
from attndsl.runtime import routed_sums

D, DV = 8, 6
SPACES: dict[str, tuple[str, dict[str, Any]]] = {
    "runs": (
        "space tokens(n)\n    blocks a of n by 32\n    blocks c of n by 16",
        {"shape": 100},
    ),
    "boxes": (
        "space image(y, x)\n    blocks a of (y, x) by (4, 8)\n    blocks c of (y, x) by (6, 4)",
        {"shape": (10, 13)},
    ),
    "two segments": (
        "space image(y, x) ++ text(n)\n    blocks a of (y, x) by (4, 8)\n    blocks c of (y, x) by (4, 8)",
        {"shape": (6, 12), "text": 11},
    ),
    "two spaces": (
        "query space tokens(n)\n    key space context(m)\n    blocks a of n by 16\n    blocks c of m by 32",
        {"shape": 50, "key_shape": 75},
    ),
}
RULES = ("top(2) per a", "drop(0.7) per head", "ranks(1, 3) per a", "threshold(0.3) per a")
"""The second and the last one leave lists empty."""
WEIGHTS = (
    "feature softmax\n    weight s",
    "weight s\n    normalize none",
    "feature relu\n    weight s\n    normalize sum + 1e-3",
    "input g: real[query, heads, dim]\n    weight s\n    gate sigmoid(g)\n    normalize none",
)


def bound(space: str, rule: str = RULES[0], weight: str = WEIGHTS[0], kv_heads: int = 2) -> Bound:
    spelled, sizes = SPACES[space]
    lines = (
        spelled,
        f"route score mean(q in a) . mean(k in c)\n          select {rule}",
        weight,
        "attend true",
    )
    text = "".join(f"    {line}\n" for line in lines)
    found: Bound = attndsl.parse(f"pattern p:\n{text}").bind(heads=4, kv_heads=kv_heads, **sizes)
    return found


def tensors(pattern: Bound, dtype: torch.dtype = torch.float64, batch: int = 2) -> dict[str, Tensor]:
    ir = pattern.ir
    shapes = {
        "q": (batch, ir.heads, ir.query_space.size, D),
        "k": (batch, ir.kv_heads, ir.key_space.size, D),
        "v": (batch, ir.kv_heads, ir.key_space.size, DV),
        "g": (batch, ir.query_space.size, ir.heads, DV),
    }
    names = ("q", "k", "v", *(each.name for each in ir.inputs))
    return {name: torch.randn(shapes[name]).to(dtype).requires_grad_() for name in names}


def assert_like_reference(
    pattern: Any, given: dict[str, Tensor], plan: Plan | None = None, tolerance: float = 1e-11
) -> None:
    """Output and the gradients of everything, beside the denotation in float64."""
    assert pattern.algorithm == "sums"
    plan = plan or pattern.plan(given["q"], given["k"])
    wide = {name: each.detach().double().requires_grad_() for name, each in given.items()}
    out, wanted = pattern(**given, plan=plan), pattern.reference(**wide, plan=plan)
    assert out.dtype == given["q"].dtype
    torch.testing.assert_close(out.double(), wanted, rtol=tolerance, atol=tolerance)
    seed = torch.randn_like(wanted)
    found = torch.autograd.grad(out, list(given.values()), seed.to(out.dtype))
    expected = torch.autograd.grad(wanted, list(wide.values()), seed)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=4 * tolerance, atol=4 * tolerance)


@pytest.mark.parametrize("space", SPACES)
def test_every_rule_with_every_weight(space: str) -> None:
    for rule, weight in product(RULES, WEIGHTS):
        pattern = bound(space, rule, weight)
        assert_like_reference(pattern, tensors(pattern))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2), (torch.float16, 3e-3)]
)
def test_sums_are_in_single_precision(dtype: torch.dtype, tolerance: float) -> None:
    pattern = bound("runs", weight=WEIGHTS[2])
    assert_like_reference(pattern, tensors(pattern, dtype), tolerance=tolerance)


@pytest.mark.parametrize("kv_heads", [1, 4])
@pytest.mark.parametrize("shared", [1, 2, 4])
@pytest.mark.parametrize("space", ["runs", "boxes"])
def test_lists_may_serve_several_heads_and_all_of_a_batch(space: str, shared: int, kv_heads: int) -> None:
    pattern = bound(space, kv_heads=kv_heads)
    given = tensors(pattern)
    plan = pattern.plan(given["q"], given["k"])
    lists = {name: getattr(plan, name)[:1, ::shared] for name in ("indices", "counts")}
    assert_like_reference(pattern, given, replace(plan, **lists))


def test_empty_lists_and_full_lists() -> None:
    pattern: Any = bound("runs")
    given = tensors(pattern)
    everything = np.broadcast_to(np.arange(7, dtype=np.int32), (1, 1, 4, 7)).copy()
    full = Plan(100, 100, 32, 16, everything, np.full((1, 1, 4), 7, dtype=np.int32))
    assert_like_reference(pattern, given, full)
    empty = replace(full, indices=everything[..., :0], counts=np.zeros((1, 1, 4), dtype=np.int32))
    assert_like_reference(pattern, given, empty)
    assert not pattern(**given, plan=empty).any()


def test_a_given_plan_over_single_tokens_is_computed_by_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = bound("runs")
    lists = np.tile(np.arange(0, 100, 3, dtype=np.int32), (1, 1, 100, 1))
    plan = Plan(100, 100, 1, 1, lists, np.full((1, 1, 100), lists.shape[3], dtype=np.int32))
    monkeypatch.delattr("attndsl.runtime.linear.sums_over")
    assert_like_reference(pattern, tensors(pattern), plan)


@pytest.mark.parametrize("most", [1, 700, 3000, 20000])
def test_what_is_computed_at_once_changes_nothing(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some blocks of queries, some channels, some heads and some elements of the batch in turn."""
    monkeypatch.setattr(routed_sums, "MOST_NUMBERS", most)
    for space in ("runs", "boxes"):
        pattern = bound(space, kv_heads=2)
        assert_like_reference(pattern, tensors(pattern, batch=3))


@pytest.mark.parametrize("blocks", [16, 512, 2**14])
@pytest.mark.parametrize("heads", [1, 12])
def test_states_that_exist_at_once_are_bounded(blocks: int, heads: int) -> None:
    batches, at_once, channels = routed_sums._at_once(blocks * 128, 4, heads, 129)
    assert batches * at_once * channels * blocks * 128 <= routed_sums.MOST_NUMBERS
    assert (batches, at_once) == (1, 1) or channels == 129
    assert batches == 1 or at_once == heads


def test_an_empty_batch() -> None:
    pattern = bound("two spaces")
    q, k, v = tensors(pattern, batch=1).values()
    assert pattern(q[:0], k[:0], v[:0], plan=pattern.plan(q, k)).shape == (0, 4, 50, DV)


@pytest.mark.parametrize("space", ["runs", "two segments"])
def test_whole_graphs_and_their_gradients(space: str) -> None:
    pattern = bound(space)
    q, k, v = tensors(pattern).values()
    compiled = torch.compile(lambda q, k, v: pattern(q, k, v), backend="aot_eager", fullgraph=True)
    found, wanted = compiled(q, k, v), pattern(q, k, v)
    assert torch.equal(found, wanted)
    seed = torch.randn_like(found)
    pairs = zip(*(torch.autograd.grad(out, (q, k, v), seed) for out in (found, wanted)), strict=True)
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_vmap_over_a_plan() -> None:
    pattern = bound("runs")
    q, k, v = (each.detach() for each in tensors(pattern).values())
    plan = pattern.plan(q, k)
    out = torch.vmap(lambda q: pattern(q, k, v, plan=plan))(torch.stack([q, -q]))
    assert torch.allclose(out[1], pattern(-q, k, v, plan=plan))
