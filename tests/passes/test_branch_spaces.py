"""Patterns of branches in models: under causality, beside a text, with padding, and as one mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import attndsl
from attndsl.passes.branch_spaces import union
from attndsl.passes.joint import EXISTING_KEYS, reordered, with_existing_keys, with_text
from attndsl.passes.open_length import causally
from attndsl.pipeline import Bound, Pattern

PARTS = attndsl.parse(
    """
pattern parts(left: int):
    space tokens(n)
    branch near:
        attend abs(q.n - k.n) <= left
    branch far:
        attend k.n % 4 == 0
    combine near + 0.5 * far + identity
"""
)


def test_a_union_is_a_pattern_without_branches() -> None:
    bound = PARTS.bind(shape=11, left=2)
    joined = Bound(union(bound.ir))
    assert not joined.branches
    assert (joined.mask() == bound.mask()).all()
    assert (joined.schedule().to_mask() == bound.mask()).all()


def test_causality_hides_the_future_from_every_branch() -> None:
    plain = PARTS.bind(shape=11, left=2)
    causal = Pattern(causally(PARTS.ir)).bind(shape=11, left=2)
    past = np.tri(11, dtype=bool)
    for name, branch in causal.branches.items():
        assert (branch.mask() == plain.branches[name].mask() & past).all()


def test_a_text_sees_and_is_seen_by_all_in_every_branch() -> None:
    beside = Pattern(with_text(PARTS.ir)).bind(shape=6, left=1, text=3)
    for branch in beside.branches.values():
        mask = branch.mask()[0]
        assert mask[6:].all()
        assert mask[:, 6:].all()
        assert not mask[:6, :6].all()
    first = Bound(reordered(beside.ir, (1, 0)))
    q = torch.randn(1, 1, 9, 8, dtype=torch.float64)
    moved = torch.cat([q[:, :, 6:], q[:, :, :6]], 2)
    out = beside(q, q, q)
    assert torch.allclose(first(moved, moved, moved), torch.cat([out[:, :, 6:], out[:, :, :6]], 2))


def test_padding_is_hidden_from_every_branch() -> None:
    padded = Pattern(with_existing_keys(PARTS.ir)).bind(shape=6, left=2)
    exists = torch.tensor([[True] * 4 + [False] * 2])
    q = torch.randn(1, 1, 6, 8, dtype=torch.float64)
    changed = q.clone()
    changed[:, :, 4:] += 1
    inputs: dict[str, Any] = {EXISTING_KEYS: exists}
    out, other = (padded(q, each, each, **inputs) for each in (q, changed))
    assert torch.allclose(out[:, :, :4], other[:, :, :4])
