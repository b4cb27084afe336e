"""The operators `attndsl::recurrence` and `attndsl::recurrence_backward`: kernels in torch's graphs."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.library import custom_op, register_autograd, register_fake

from attndsl.runtime.recurrence_gradients import gradients
from attndsl.runtime.recurrence_passes import run_forward
from attndsl.runtime.recurrence_problem import Problem
from attndsl.runtime.second_derivatives import refuse_second_derivatives


@custom_op("attndsl::recurrence", mutates_args=())
def recurrence_operator(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor | None, initial_state: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Output and final state. decay and initial_state: float32."""
    return run_forward(Problem(q, k, v, decay, initial_state, scale))


@custom_op("attndsl::recurrence_backward", mutates_args=())
def recurrence_backward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    decay: Tensor | None,
    initial_state: Tensor,
    final_state: Tensor,
    out_gradient: Tensor,
    final_state_gradient: Tensor,
    scale: float,
    wanted: list[bool],
) -> list[Tensor]:
    """The gradients of the first five arguments; empty tensors for those that are not wanted."""
    problem = Problem(q, k, v, decay, initial_state, scale)
    return gradients(problem, final_state, out_gradient, final_state_gradient, wanted)


def _shapes(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor | None, initial_state: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    return q.new_empty((*q.shape[:3], v.shape[3])), initial_state.new_empty(initial_state.shape)


def _backward_shapes(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor | None, initial_state: Tensor, *arguments: Any
) -> list[Tensor]:
    given, wanted = (q, k, v, decay, initial_state), arguments[-1]
    return [
        q.new_empty(0) if each is None or not needed else each.new_empty(each.shape)
        for each, needed in zip(given, wanted, strict=True)
    ]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, scale = inputs
    ctx.save_for_backward(*tensors, output[1])
    ctx.scale = scale


def _backward(ctx: Any, out_gradient: Tensor, final_state_gradient: Tensor) -> tuple[Any, ...]:
    wanted = list(ctx.needs_input_grad[:5])
    saved = ctx.saved_tensors  # once: checkpoints allow no second look
    found = recurrence_backward(*saved, out_gradient, final_state_gradient, ctx.scale, wanted)
    return *(each if needed else None for each, needed in zip(found, wanted, strict=True)), None


register_fake("attndsl::recurrence", _shapes)
register_fake("attndsl::recurrence_backward", _backward_shapes)
register_autograd("attndsl::recurrence", _backward, setup_context=_save)
refuse_second_derivatives("attndsl::recurrence_backward")
