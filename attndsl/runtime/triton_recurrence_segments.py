"""Divides the tokens of a recurrence into segments that a GPU computes side by side.

A program walks through the tokens of one head and block of value channels, so that batch * heads * blocks
programs run at the same time. Where these are too few, one pass finds what each segment alone makes of the
state, and torch carries the state, or its gradient, from segment to segment: each can start from its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from attndsl.runtime.recurrence_problem import Problem
from attndsl.runtime.triton_device import multiprocessors

SMALLEST = 1024
"""A segment is a whole number of so many tokens, which chunks of every size fill."""

PROGRAMS = 2
"""How many programs a multiprocessor should have before tokens are divided."""


ANCHORED = 512
"""The most tokens of a segment where 16-bit products give the gradients of steps.

These sum over all later tokens what queries and keys share, and most of it cancels; what rounding leaves of
it grows with the square root of the tokens. At a segment's end the sum is known from the state and its
gradient there, so that rounding adds up within segments only.
"""


@dataclass(frozen=True)
class Segments:
    """count: of segments. tokens: of each; the last one may have fewer."""

    count: int
    tokens: int


def segments_of(problem: Problem, blocks: int) -> Segments:
    """As many as fill the GPU. blocks: of value channels."""
    batches, heads, tokens = problem.q.shape[:3]
    wanted = PROGRAMS * multiprocessors(problem.q.device) // max(1, batches * heads * blocks)
    count = max(1, min(wanted, tokens // SMALLEST))
    size = -(-tokens // (count * SMALLEST)) * SMALLEST
    if problem.wants_steps and problem.q.dtype != torch.float32:
        size = min(size, ANCHORED)
    return Segments(-(-tokens // size), size)


def states_before(problem: Problem, segments: Segments, added: Tensor) -> Tensor:
    """The state before each segment. added: what each makes of no state; [segments, B, H, D, Dv] both."""
    kept, states = _kept(problem, segments), [problem.initial_state]
    for number in range(segments.count - 1):
        states.append(_carried(states[-1], kept, number) + added[number])
    return torch.stack(states)


def gradients_after(problem: Problem, segments: Segments, last: Tensor, added: Tensor) -> Tensor:
    """The gradient of the state after each segment. last: of the final state. added: as above."""
    kept, gradients = _kept(problem, segments), [last]
    for number in range(segments.count - 1, 0, -1):
        gradients.append(_carried(gradients[-1], kept, number) + added[number])
    return torch.stack(gradients[::-1])


def _carried(state: Tensor, kept: Sequence[Tensor] | None, number: int) -> Tensor:
    return state if kept is None else state * kept[number]


def _kept(problem: Problem, segments: Segments) -> Sequence[Tensor] | None:
    """What is left of a state after each segment, [B, H, D or 1, 1]; None: all of it."""
    if problem.decay is None:
        return None
    steps = problem.decay if problem.decay.ndim == 4 else problem.decay[..., None]
    whole = pad(steps, (0, 0, 0, segments.count * segments.tokens - steps.shape[2]))
    sums = whole.unflatten(2, (segments.count, segments.tokens)).sum(3)  # type: ignore[no-untyped-call]
    return list(sums.exp()[..., None].unbind(2))
