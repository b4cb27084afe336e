"""The passes of a recurrence, by the kernels that fit its tensors: Triton's or C++."""

from __future__ import annotations

from types import ModuleType

from torch import Tensor

from attndsl.runtime import recurrence_kernels, triton_recurrence
from attndsl.runtime.recurrence_kernels import TYPES, KeyGradients, QueryGradients
from attndsl.runtime.recurrence_problem import Problem


def has_kernels(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether there are kernels for tensors of their type and size, where they are."""
    if triton_recurrence.has_triton_kernels(q, k, v):
        return True
    return q.device.type == "cpu" and q.dtype == k.dtype == v.dtype and q.dtype in TYPES


def run_forward(problem: Problem) -> tuple[Tensor, Tensor]:
    """The output in the type of q, and the final state, float32."""
    found: tuple[Tensor, Tensor] = _kernels(problem).run_forward(problem)
    return found


def run_dq(problem: Problem, out_gradient: Tensor) -> QueryGradients:
    """The gradient of queries."""
    found: QueryGradients = _kernels(problem).run_dq(problem, out_gradient)
    return found


def run_dk_dv(problem: Problem, out_gradient: Tensor, final_state_gradient: Tensor) -> KeyGradients:
    """The gradients of keys, values and the initial state."""
    found: KeyGradients = _kernels(problem).run_dk_dv(problem, out_gradient, final_state_gradient)
    return found


def _kernels(problem: Problem) -> ModuleType:
    on_triton = triton_recurrence.has_triton_kernels(problem.q, problem.k, problem.v)
    return triton_recurrence if on_triton else recurrence_kernels
