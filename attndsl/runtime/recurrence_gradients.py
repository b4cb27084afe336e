"""The gradients of a recurrence, from what its backward kernels compute per query head.

The gradient of a step is the sum over all pairs with the step between them. With the shares of queries and
keys (`codegen/recurrence.py`), that is what queries from the step on share, minus what keys from it on share,
and the final state counts as one more query. Where tokens are divided into segments, the state after each
stands for all that comes later. Source: S. Yang et al., Gated Linear Attention, 2024
(arXiv:2312.06635).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from attndsl.runtime.recurrence_kernels import KeyGradients, QueryGradients
from attndsl.runtime.recurrence_passes import run_dk_dv, run_dq
from attndsl.runtime.recurrence_problem import Problem


def gradients(
    problem: Problem,
    final_state: Tensor,
    out_gradient: Tensor,
    final_state_gradient: Tensor,
    wanted: Sequence[bool],
) -> list[Tensor]:
    """Of q, k, v, the decay and the initial state; empty tensors for those that are not wanted."""
    wants_q, wants_k, wants_v, wants_decay, wants_state = wanted
    problem = replace(problem, wants_steps=wants_decay)
    if out_gradient.stride(3) != 1:  # as of expanded tensors: reading it often would be slow
        out_gradient = out_gradient.contiguous()
    found = [problem.q.new_empty(0) for _ in wanted]  # one each: results must not be the same tensor
    if wants_q or wants_decay:
        of_queries = run_dq(problem, out_gradient)
    if wants_q:
        found[0] = of_queries.q.to(problem.q.dtype)
    if wants_k or wants_v or wants_decay or wants_state:
        of_keys = run_dk_dv(problem, out_gradient, final_state_gradient)
    if wants_k:
        found[1] = _of_kv_heads(of_keys.k, problem.k)
    if wants_v:
        found[2] = _of_kv_heads(of_keys.v, problem.v)
    if wants_state:
        found[4] = of_keys.initial_state.contiguous()
    if wants_decay:
        found[3] = _of_steps(problem, of_queries, of_keys, final_state, final_state_gradient)
    return found


def _of_kv_heads(gradient: Tensor, like: Tensor) -> Tensor:
    """Summed over the query heads that share a kv head."""
    batches, heads, *rest = like.shape
    if gradient.shape[1] != heads:
        gradient = gradient.reshape(batches, heads, -1, *rest).sum(2)
    return gradient.to(like.dtype).contiguous()


def _of_steps(
    problem: Problem,
    of_queries: QueryGradients,
    of_keys: KeyGradients,
    final_state: Tensor,
    final_state_gradient: Tensor,
) -> Tensor:
    """Of the decay, in its shape. Sums are float64, as most of what is added cancels."""
    assert problem.decay is not None
    assert of_queries.share is not None
    assert of_keys.share is not None
    states, size = [(final_state, final_state_gradient)], of_queries.segment_tokens
    if of_queries.states is not None and of_keys.states is not None:
        states = [*zip(of_queries.states[1:], of_keys.states[:-1], strict=True), *states]
    else:
        size = problem.q.shape[2]
    dims = (-2, -1) if problem.kind == "token" else (-1,)
    of_states = [(state.double() * gradient).sum(dims) for state, gradient in states]
    shared = _in_segments(of_queries.share.double().sub_(of_keys.share), size)
    shared[:, :, :, -1] += torch.stack(of_states, 2)
    later = shared.flip(3).cumsum_(3).flip(3)
    forgets = problem.decay.isneginf()
    if forgets.is_cuda or forgets.any():  # a GPU is not waited for
        later -= _after_next(_in_segments(forgets, size), later)
    return later.flatten(2, 3)[:, :, : problem.q.shape[2]].float()


def _in_segments(values: Tensor, size: int) -> Tensor:
    """[B, H, tokens, ..] as [B, H, segments, size, ..], filled up with 0."""
    missing = (0, 0) * (values.ndim - 3) + (0, -values.shape[2] % size)
    return pad(values, missing).unflatten(2, (-1, size))  # type: ignore[no-untyped-call, no-any-return]


def _after_next(forgets: Tensor, later: Tensor) -> Tensor:
    """The value at the next token of a segment that forgets all before it: nothing but rounding is there."""
    tokens = later.shape[3]
    numbers = torch.arange(tokens, device=later.device).view(-1, *[1] * (later.ndim - 4))
    places = torch.where(forgets, numbers, tokens).flip(3).cummin(3).values.flip(3)
    ended = torch.cat([later, torch.zeros_like(later[:, :, :, :1])], 3)
    return ended.gather(3, places)
