"""The kernel that finds the largest scores beside torch's, and trimmed maps beside whole ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import attndsl
from attndsl.pipeline import Bound
from attndsl.runtime import route_scores, select, select_conditions
from attndsl.runtime.select_lists import top_lists
from attndsl.runtime.select_top import has_kernel, top_rows

NEAR = """
pattern near:
    space tokens(n)
    blocks b of n by 4
    route score mean(k in b) . q
          among q.b - 6 <= k.b < q.b
          select top(4) per query
          prefer k.b == q.b - 2
          always q.b - 1 <= k.b <= q.b
    attend causal
"""

BOUND: dict[str, Bound] = {
    "moba": attndsl.pattern("moba").bind(shape=75, heads=4, kv_heads=2, block=8, topk=3),
    "nsa": attndsl.pattern("nsa").bind(shape=75, heads=4, kv_heads=2, block=4, n_sel=5),
    "delta": attndsl.pattern("delta").bind(shape=75, heads=4, kv_heads=2, page=4, pages=5, last=2),
    "xattention": attndsl.pattern("xattention").bind(shape=75, heads=4, kv_heads=2, block=8, stride=4),
    "hip": attndsl.pattern("hip").bind(shape=75, heads=4, kv_heads=2, mask_k=12, block_k=4, block_q=8),
    "near": attndsl.parse(NEAR).bind(shape=75, heads=4, kv_heads=2),
}


def plan(bound: Bound, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    found: Any = bound.plan(q, k)
    if bound.ir.branches:
        found = found["selected"]
    return found.indices, found.counts


def tensors(integers: bool) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    made = [torch.randn(2, heads, 75, 16) for heads in (4, 2)]
    q, k = (each.round().clamp(-1, 1) if integers else each for each in made)
    return q, k


@pytest.mark.parametrize("integers", [False, True], ids=["random", "integers"])
@pytest.mark.parametrize("name", BOUND)
def test_keys_that_are_left_out_beforehand_change_no_plan(
    name: str, integers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "CHUNK", 400)
    given = tensors(integers)
    trimmed = plan(BOUND[name], *given)
    for module in (select_conditions, route_scores):
        monkeypatch.setattr(module, "some_keys", lambda holds, count: slice(0, count))
    assert all(map(torch.equal, trimmed, plan(BOUND[name], *given)))


@pytest.mark.parametrize("name", BOUND)
def test_torch_makes_the_same_plans_without_a_compiler(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tensors(integers=False)
    by_kernel = plan(BOUND[name], *given)
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert not has_kernel(given[0])
    assert all(map(torch.equal, by_kernel, plan(BOUND[name], *given)))


def test_scores_classes_and_lists_may_stand_for_many_rows() -> None:
    torch.manual_seed(0)
    scores = torch.randn(2, 1, 1, 9).expand(2, 3, 8, 9)
    place = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])
    classes = torch.zeros(3, 9, dtype=torch.uint8)
    always = torch.tensor([[0, 3], [8, -1], [-1, -1]], dtype=torch.int32)
    for row, keys in enumerate(always.tolist()):
        classes[row, [key for key in keys if key >= 0]] = 1
    found = top_rows(scores, classes[None, None], always[None, None], place, 0, 2)
    hidden = scores.masked_fill(classes[place].bool(), -torch.inf)
    assert all(map(torch.equal, found, top_lists(hidden, 2, always[place], slice(0, 9), 9)))


def test_a_transposed_map() -> None:
    scores = torch.randn(1, 2, 9, 8).mT
    found = top_rows(scores, None, None, None, 5, 3)
    assert torch.equal(found[0], top_lists(scores, 3, None, slice(5, 14), 20)[0])
