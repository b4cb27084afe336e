"""What routes can say of partitions, pools, scores and unions: each beside a few lines of torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import attndsl
from attndsl.ir.plan import Plan

TOKENS, SIZE = 29, 8
RUNS = [slice(start, min(start + SIZE, TOKENS)) for start in range(0, TOKENS, SIZE)]


def plan_of(text: str, shape: int | tuple[int, ...], *given: Tensor, **numbers: Any) -> Plan:
    bound = attndsl.parse(f"pattern p:\n    {text}").bind(shape=shape, heads=2)
    found: Plan = bound.plan(*given, **numbers)
    return found


def tensors(tokens: int = TOKENS) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(2, 2, tokens, 4, dtype=torch.float64) for _ in range(3)]


def per_run(x: Tensor, pool: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.stack([pool(x[:, :, run]) for run in RUNS], 2)


Formula = Callable[[Tensor, Tensor, Tensor], Tensor]
SCORES: dict[str, tuple[str, Formula]] = {
    "mean": ("q . mean(k in b)", lambda q, k, v: q @ per_run(k, lambda x: x.mean(2)).mT),
    "mean times the root of the length": (
        "q . mean(k in b) * sqrt(min(8, extent(n) - k.b * 8))",
        lambda q, k, v: q @ per_run(k, lambda x: x.mean(2) * x.shape[2] ** 0.5).mT,
    ),
    "largest": ("q . max(k in b)", lambda q, k, v: q @ per_run(k, lambda x: x.amax(2)).mT),
    "bounds of products": (
        "relu(q) . max(k in b) - relu(-q) . min(k in b)",
        lambda q, k, v: torch.maximum(
            q.unsqueeze(3) * per_run(k, lambda x: x.amax(2)).unsqueeze(2),
            q.unsqueeze(3) * per_run(k, lambda x: x.amin(2)).unsqueeze(2),
        ).sum(-1),
    ),
    "softmax": (
        "softmax(2.0 * q . mean(k in b))",
        lambda q, k, v: torch.softmax(2 * q @ per_run(k, lambda x: x.mean(2)).mT, -1),
    ),
    "values": (
        "0.0 * q.n + mean(v in b) . mean(v in b)",
        lambda q, k, v: 0 * q @ per_run(k, lambda x: x.mean(2)).mT
        + per_run(v, lambda x: x.mean(2)).square().sum(-1).unsqueeze(2),
    ),
    "coordinates": (
        "q . mean(k in b) + 0.1 * mean(k.n in b)",
        lambda q, k, v: q @ per_run(k, lambda x: x.mean(2)).mT
        + 0.1 * torch.tensor([(run.start + run.stop - 1) / 2 for run in RUNS], dtype=q.dtype),
    ),
    "over heads": (
        "sum(q . mean(k in b) in heads)",
        lambda q, k, v: (q @ per_run(k, lambda x: x.mean(2)).mT).sum(1, keepdim=True),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SCORES)
def test_scores_of_runs(what: str) -> None:
    score, formula = SCORES[what]
    q, k, v = tensors()
    text = f"space tokens(n)\n    blocks b of n by {SIZE}\n    route score {score}\n          "
    plan = plan_of(text + "select top(2) per query\n    attend true", TOKENS, q, k, v)
    wanted = formula(q, k, v).topk(2, -1).indices.sort(-1).values
    assert torch.equal(plan.indices.long(), wanted)


def test_scores_that_a_model_learns() -> None:
    q, k, _ = tensors()
    learned = torch.rand(2, TOKENS, 4)
    text = """space tokens(n)
    input learned: real[heads, query, 4]
    blocks b of n by 8
    route score learned[head, q, k.b]
          select threshold(0.5, 1) per query
    attend true"""
    mask = plan_of(text, TOKENS, q, k, learned=learned).to_mask()[..., ::SIZE]
    wanted = (learned >= 0.5) | (learned == learned.amax(-1, keepdim=True))
    assert np.array_equal(mask, wanted.unsqueeze(0).numpy())


def test_the_softmax_of_integers_is_real() -> None:
    q, k, _ = tensors()
    text = "space tokens(n)\n    route score softmax(q.n - k.n)\n          "
    plan = plan_of(text + "select top(2) per query\n    attend causal", TOKENS, q, k)
    assert plan.indices.flatten(0, 2).tolist() == [[0, 1]] * TOKENS


def test_thresholds_may_be_negative() -> None:
    q, k, _ = tensors()
    text = (
        "space tokens(n)\n    route score q . k\n          select threshold(-1.0) per query\n    attend true"
    )
    assert np.array_equal(plan_of(text, TOKENS, q, k).to_mask(), (q @ k.mT >= -1).numpy())


def test_frames_with_their_neighbours_and_the_best_other() -> None:
    q, k, _ = tensors(5 * 6)
    text = """space video(t, y, x)
    blocks f of (t, y, x) by (1, extent(y), extent(x))
    route score mean(q in f) . mean(k in f)
          among abs(k.f - q.f) > 1
          select top(1) per f
          always abs(k.f - q.f) <= 1
    attend true"""
    plan = plan_of(text, (5, 2, 3), q, k)
    score = q.view(2, 2, 5, 6, 4).mean(3) @ k.view(2, 2, 5, 6, 4).mean(3).mT
    frame = torch.arange(5)
    near = (frame - frame[:, None]).abs() <= 1
    best = torch.zeros_like(score, dtype=torch.bool).scatter_(
        -1, score.masked_fill(near, -torch.inf).argmax(-1, keepdim=True), True
    )
    wanted = (best | near).repeat_interleave(6, 2).repeat_interleave(6, 3)
    assert np.array_equal(plan.to_mask(), wanted.numpy())


def test_blocks_that_differ_between_heads_are_branches() -> None:
    """One head chooses frames, the other columns of all frames."""
    bound = attndsl.parse("""
pattern p(spatial: int):
    space video(t, x)
    blocks f of (t, x) by (1, extent(x))
    blocks c of (t, x) by (extent(t), 2)
    branch frames:
        route score q . mean(k in f)
              select top(1) per query
        attend head < spatial
    branch columns:
        route score q . mean(k in c)
              select top(1) per query
        attend head >= spatial
    combine frames + columns
""").bind(shape=(4, 6), heads=2, spatial=1)
    q, k, v = tensors(24)
    frames = (q @ k.view(2, 2, 4, 6, 4).mean(3).mT)[:, 0].argmax(-1)
    columns = (q @ k.view(2, 2, 4, 3, 2, 4).mean((2, 4)).mT)[:, 1].argmax(-1)
    token = torch.arange(24)
    seen = torch.stack([token // 6 == frames.unsqueeze(-1), token % 6 // 2 == columns.unsqueeze(-1)], 1)
    weights = torch.softmax((q @ k.mT / 2).masked_fill(~seen, -torch.inf), -1)
    torch.testing.assert_close(bound(q, k, v), weights @ v)
