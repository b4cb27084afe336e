"""The closer look at pairs of boxes that interval analysis could not decide.

First sample tokens: one visible and one invisible pair prove a tile PARTIAL. What is then still open is cut
into ever smaller boxes until it is decided; at single tokens the analysis is exact.
"""

from __future__ import annotations

from functools import cache, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.expr import TRUE, Apply, Expr
from attndsl.schedule.pairs import CHUNK, Pairs
from attndsl.schedule.region import Region

Array = NDArray[Any]

BUDGET = 2**23
"""Pairs of small boxes to look at in one region; what is open beyond stays PARTIAL, which is always right."""

QUICK_BUDGET = 2**17

OWNERS = 2**13
"""Pairs of tiles cut up together."""


def decide(region: Region, root: Expr, pairs: Pairs) -> tuple[Array, Array]:
    """Which undecided pairs are FULL and which are PARTIAL, two masks [pairs]; the others are EMPTY."""
    certain = _without_unknown_inputs(region, root)
    if certain is TRUE:
        return np.zeros(len(pairs), dtype=bool), np.ones(len(pairs), dtype=bool)
    visible, hidden = _sampled(region, certain, pairs)
    _look_closer(region, certain, pairs, visible, hidden, BUDGET)
    full = ~hidden & (certain is root)
    return full, visible & ~full


def decide_quickly(region: Region, root: Expr, pairs: Pairs) -> tuple[Array, Array]:
    """The same with little effort, for the time of a call: more pairs may stay PARTIAL. Inputs are known."""
    visible, hidden = np.zeros(len(pairs), dtype=bool), np.zeros(len(pairs), dtype=bool)
    _look_closer(region, root, pairs, visible, hidden, QUICK_BUDGET)
    return ~hidden, visible & hidden


def _look_closer(
    region: Region, root: Expr, pairs: Pairs, visible: Array, hidden: Array, budget: int
) -> None:
    """Completes `visible` and `hidden`: which pairs of tiles have token pairs of either kind."""
    unproven = np.flatnonzero(~(visible & hidden))
    for start in range(0, len(unproven), OWNERS):
        part = unproven[start : start + OWNERS]
        seen, missed, budget = _cut_up(region, root, pairs.where(part), budget)
        visible[part] |= seen
        hidden[part] |= missed


def conjuncts(root: Expr) -> list[Expr]:
    """The factors of a conjunction, in order."""
    if isinstance(root, Apply) and root.op == "and":
        return [factor for operand in root.args for factor in conjuncts(operand)]
    return [root]


def conjunction(factors: list[Expr]) -> Expr:
    """All factors joined by `and`; `true` for none."""
    return reduce(lambda first, second: Apply("and", (first, second)), factors) if factors else TRUE


def _without_unknown_inputs(region: Region, root: Expr) -> Expr:
    """What can be known of a mask: where this does not hold the mask does not hold."""
    known = [factor for factor in conjuncts(root) if not region.is_unknown(factor)]
    return conjunction(known) if len(known) < len(conjuncts(root)) else root


def _sampled(region: Region, root: Expr, pairs: Pairs) -> tuple[Array, Array]:
    """Which pairs of boxes have a visible and which a hidden pair among a few sample tokens."""
    visible, hidden = np.zeros(len(pairs), dtype=bool), np.zeros(len(pairs), dtype=bool)
    for fractions in _samples(len(region.axes.query), len(region.axes.key)):
        unproven = np.flatnonzero(~(visible & hidden))
        for start in range(0, len(unproven), CHUNK):
            part = unproven[start : start + CHUNK]
            truth = region.truth_at(root, pairs.where(part), fractions)
            visible[part] |= ~truth.may_fail
            hidden[part] |= ~truth.may_hold
    return visible, hidden


@cache
def _samples(query_axes: int, key_axes: int) -> tuple[tuple[float, ...], ...]:
    """Where in a box to look: first, last and middle tokens of both sides, then scattered ones."""
    ends = [(q,) * query_axes + (k,) * key_axes for q in (0.0, 1.0, 0.5) for k in (0.0, 1.0, 0.5)]
    random = np.random.default_rng(0)
    corners = random.integers(0, 2, (8, query_axes + key_axes)).astype(float)
    points = random.random((8, query_axes + key_axes))
    return (*ends, *map(tuple, corners.tolist()), *map(tuple, points.tolist()))


def _cut_up(region: Region, root: Expr, pairs: Pairs, budget: int) -> tuple[Array, Array, int]:
    """Which boxes have visible and hidden pairs (both where the budget ran out), and the budget left."""
    visible, hidden = np.zeros(len(pairs), dtype=bool), np.zeros(len(pairs), dtype=bool)
    owner = np.arange(len(pairs))
    while len(pairs) and pairs.level < region.axes.finest:
        pairs, origin = pairs.children()
        owner, budget = owner[origin], budget - len(pairs)
        if budget < 0:
            break
        truth = region.truth(root, pairs)
        visible[owner[~truth.may_fail]] = True
        hidden[owner[~truth.may_hold]] = True
        unknown = truth.may_hold & truth.may_fail & ~(visible & hidden)[owner]
        pairs, owner = pairs.where(unknown), owner[unknown]
    visible[owner] = hidden[owner] = True
    return visible, hidden, budget
