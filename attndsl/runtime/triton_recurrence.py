"""Recurrences by Triton kernels: the same passes as `recurrence_kernels`, on a GPU or in the interpreter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from attndsl.runtime.recurrence_kernels import TYPES, KeyGradients, QueryGradients
from attndsl.runtime.recurrence_problem import Problem
from attndsl.runtime.triton_interpreter import interprets
from attndsl.runtime.triton_recurrence_kernels import RecurrenceKernel, kernel_for
from attndsl.runtime.triton_recurrence_segments import (
    Segments,
    gradients_after,
    segments_of,
    states_before,
)

MOST_CHANNELS = 256
"""Of queries and keys: a program holds all of them. Values are divided into blocks."""

Tensors = Mapping[str, Tensor]


def has_triton_kernels(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether tensors are on a GPU, or Triton interprets kernels; and there are kernels for them."""
    on_gpu = q.is_cuda or (interprets() and q.device.type == "cpu")
    return on_gpu and q.dtype == k.dtype == v.dtype and q.dtype in TYPES and q.shape[3] <= MOST_CHANNELS


def run_forward(problem: Problem) -> tuple[Tensor, Tensor]:
    """The output in the type of q, and the final state, float32."""
    call = _Call(problem)
    out = problem.q.new_empty((*problem.q.shape[:3], problem.v.shape[3]))
    states = call.new_states()
    call.run("recurrence_forward", {"initial_state": call.states(), "out": out, "final_state": states})
    return out, states[-1].clone()


def run_dq(problem: Problem, out_gradient: Tensor) -> QueryGradients:
    """The gradient of queries."""
    call, kernel = _Call(problem), "recurrence_dq"
    states = call.states()
    given = {"initial_state": states, "out_gradient": out_gradient}
    dq, share = call.new_parts(kernel, problem.q.shape), call.new_share(kernel)
    call.run(kernel, given | {"q_gradient": dq} | _named("q_share", share))
    summed = None if share is None else call.summed(share)
    return QueryGradients(call.summed(dq), summed, states, call.segments.tokens)


def run_dk_dv(problem: Problem, out_gradient: Tensor, final_state_gradient: Tensor) -> KeyGradients:
    """The gradients of keys, values and the initial state."""
    call, kernel = _Call(problem), "recurrence_dk_dv"
    dk, share = call.new_parts(kernel, problem.q.shape), call.new_share(kernel)
    dv, states = call.new((*problem.q.shape[:3], problem.v.shape[3])), call.new_states()
    after = call.state_gradients(out_gradient, final_state_gradient)
    given = {
        "out_gradient": out_gradient, "final_state_gradient": after,
        "k_gradient": dk, "v_gradient": dv, "initial_state_gradient": states,
    }  # fmt: skip
    call.run(kernel, given | _named("k_share", share))
    summed = None if share is None else call.summed(share)
    return KeyGradients(call.summed(dk), dv, states[0], summed, after)


@dataclass(frozen=True)
class _Call:
    """Kernels for a problem. States are [segments, batch, heads, D, Dv]; parts [blocks * batch, ..]."""

    problem: Problem

    def kernel(self, name: str, states: bool = False) -> RecurrenceKernel:
        """A program's kernel."""
        q, v = self.problem.q, self.problem.v
        return kernel_for(name, self.problem.kind, q.shape[3], v.shape[3], TYPES[q.dtype], states)

    @cached_property
    def segments(self) -> Segments:
        """The same for all passes."""
        return segments_of(self.problem, self.kernel("recurrence_forward").blocks)

    def states(self) -> Tensor:
        """The state before each segment."""
        if self.segments.count == 1:
            return self.problem.initial_state.contiguous()[None]
        added = self.new_states()
        given = {"initial_state": torch.zeros_like(added), "final_state": added}
        self.run("recurrence_forward", given, states=True)
        return states_before(self.problem, self.segments, added)

    def state_gradients(self, out_gradient: Tensor, last: Tensor) -> Tensor:
        """The gradient of the state after each segment. last: of the final state."""
        if self.segments.count == 1:
            return last.contiguous()[None]
        added = self.new_states()
        given = {
            "out_gradient": out_gradient,
            "final_state_gradient": torch.zeros_like(added), "initial_state_gradient": added,
        }  # fmt: skip
        self.run("recurrence_dk_dv", given, states=True)
        return gradients_after(self.problem, self.segments, last, added)

    def run(self, name: str, given: Tensors, states: bool = False) -> None:
        """Launch a program's kernel. given: what it takes beside the problem's tensors."""
        tensors = {**self.problem.tensors, **given}
        readable = {key: each.resolve_neg() if each.is_neg() else each for key, each in tensors.items()}
        batches, heads, tokens = self.problem.q.shape[:3]
        numbers = {
            "scale": self.problem.scale, "batches": batches, "heads": heads, "tokens": tokens,
            "group": heads // self.problem.k.shape[1], "segment_tokens": self.segments.tokens,
        }  # fmt: skip
        if batches * heads:
            self.kernel(name, states).launch({**readable, **numbers}, self.segments.count)

    def new(self, shape: tuple[int, ...]) -> Tensor:
        """An output, float32."""
        return self.problem.q.new_empty(shape, dtype=torch.float32)

    def new_states(self) -> Tensor:
        """States of all segments."""
        return self.new((self.segments.count, *self.problem.initial_state.shape))

    def new_parts(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """An output that every block of value channels writes a part of."""
        return self.new((self.kernel(name).blocks * shape[0], *shape[1:]))

    def new_share(self, name: str) -> Tensor | None:
        """Such an output in the shape of the steps, if there are any."""
        return None if self.problem.decay is None else self.new_parts(name, self.problem.decay.shape)

    def summed(self, parts: Tensor) -> Tensor:
        """The sum of what blocks of value channels wrote."""
        batches = len(self.problem.q)
        if len(parts) == batches:
            return parts
        return parts.view(-1, batches, *parts.shape[1:]).sum(0)


def _named(name: str, tensor: Tensor | None) -> dict[str, Tensor]:
    return {} if tensor is None else {name: tensor}
