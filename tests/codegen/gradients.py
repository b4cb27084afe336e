"""Gradients of bound patterns computed in two ways: by tile IR in NumPy, and by autograd of the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attndsl.codegen.backward import delta, dk_dv, dq, dq_dk_dv
from attndsl.codegen.forward import forward
from attndsl.codegen.interpret import interpret
from attndsl.codegen.tile_ir import Program
from attndsl.ir.bound import BoundIR
from attndsl.runtime.reference import reference
from attndsl.schedule.schedule import Schedule

Array = NDArray[Any]
Gradients = dict[str, Array]


@dataclass(frozen=True)
class Problem:
    """What a backward pass starts from: q, k, v, and the gradients of output and log-sum-exp."""

    tensors: Mapping[str, Array]
    scale: float
    inputs: Mapping[str, Array]

    def __getitem__(self, name: str) -> Array:
        return self.tensors[name]


def problem(
    ir: BoundIR,
    batch: int = 1,
    dim: int = 4,
    value_dim: int = 3,
    factor: float = 1.0,
    inputs: Mapping[str, Array] | None = None,
) -> Problem:
    """Standard normal tensors, the same every time; q and k are multiplied by `factor`."""
    generator = np.random.default_rng(ir.query_space.size * 1000 + dim)
    queries, keys = ir.query_space.size, ir.key_space.size
    shapes = {
        "q": (ir.heads, queries, dim),
        "k": (ir.kv_heads, keys, dim),
        "v": (ir.kv_heads, keys, value_dim),
        "out_gradient": (ir.heads, queries, value_dim),
        "lse_gradient": (ir.heads, queries),
    }
    tensors = {name: generator.normal(size=(batch, *shape)) for name, shape in shapes.items()}
    tensors["q"], tensors["k"] = tensors["q"] * factor, tensors["k"] * factor
    return Problem(tensors, dim**-0.5, inputs or {})


def interpreted(schedule: Schedule, given: Problem) -> Gradients:
    """The gradients of q, k and v by forward and backward programs in float64."""
    tensors = dict(given.tensors)

    def run(program: Program) -> Gradients:
        return interpret(program, schedule, tensors, {"scale": given.scale}, given.inputs)

    for program in (forward(), delta()):
        tensors |= run(program)
    separate, together = run(dq()) | run(dk_dv()), run(dq_dk_dv())
    for name, gradient in separate.items():
        np.testing.assert_allclose(together[name], gradient, rtol=1e-12, atol=1e-14, err_msg=name)
    return {name: separate[f"{name}_gradient"] for name in "qkv"}


def automatic(ir: BoundIR, given: Problem) -> Gradients:
    """The gradients of q, k and v by autograd of the reference."""
    leaves = [torch.from_numpy(given[name]).requires_grad_() for name in "qkv"]
    arrays = {name: torch.from_numpy(array) for name, array in given.inputs.items()}
    q, k, v = leaves
    outputs = reference(ir, q, k, v, scale=given.scale, return_lse=True, **arrays)
    seeds = [torch.from_numpy(given[name]) for name in ("out_gradient", "lse_gradient")]
    found = torch.autograd.grad(outputs, leaves, seeds, allow_unused=True, materialize_grads=True)
    return {name: gradient.numpy() for name, gradient in zip("qkv", found, strict=True)}


def check(schedule: Schedule, given: Problem, rtol: float = 1e-9, atol: float = 1e-11) -> None:
    """Compare both; rows that nothing sees and that see nothing have gradients of zero."""
    found, wanted = interpreted(schedule, given), automatic(schedule.ir, given)
    for name in "qkv":
        np.testing.assert_allclose(found[name], wanted[name], rtol, atol, err_msg=f"gradient of {name}")


def grouped(ir: BoundIR) -> BoundIR:
    """The same pattern with one kv head for all query heads."""
    return replace(ir, kv_heads=1)
