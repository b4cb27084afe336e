"""The C++ kernels of chunked recurrences: compiled once per kind of decay, head size and type, and called."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attndsl.codegen.cpp import entry_point
from attndsl.codegen.listing import print_program
from attndsl.codegen.recurrence import RECURRENCES, Decay
from attndsl.codegen.recurrence_cpp import CHUNKS, print_recurrence
from attndsl.codegen.standalone import standalone
from attndsl.diagnostics import AttnBackendError
from attndsl.runtime.build import Function, load_kernel
from attndsl.runtime.call import CCall, CTiling
from attndsl.runtime.recurrence_problem import Problem, filled_up, filled_up_state
from attndsl.runtime.threads import threads_for
from attndsl.stages import dump

TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}


@dataclass(frozen=True)
class QueryGradients:
    """Of queries, and their share in the gradients of steps where there are steps; float32.

    states: before each segment of `segment_tokens` tokens, where tokens are divided, [segments, B, H, D, Dv].
    """

    q: Tensor
    share: Tensor | None
    states: Tensor | None = None
    segment_tokens: int = 0


@dataclass(frozen=True)
class KeyGradients:
    """Per query head: of keys and values, and the keys' share; and of the initial state; float32.

    states: of the state after each segment, where tokens are divided.
    """

    k: Tensor
    v: Tensor
    initial_state: Tensor
    share: Tensor | None
    states: Tensor | None = None


def run_forward(problem: Problem) -> tuple[Tensor, Tensor]:
    """The output in the type of q, and the final state, float32."""
    given = problem.prepared()
    out = given.q.new_empty((*given.q.shape[:3], given.v.shape[3]))
    state = torch.empty(given.initial_state.shape)
    _run("recurrence_forward", given, {**given.tensors, "out": out, "final_state": state})
    channels, values = problem.q.shape[3], problem.v.shape[3]
    return (
        problem.joined(out, values).contiguous(),
        problem.joined(state, values)[:, :, :channels].contiguous(),
    )


def run_dq(problem: Problem, out_gradient: Tensor) -> QueryGradients:
    """The gradient of queries."""
    given, channels = problem.prepared(), problem.q.shape[3]
    dq, share = torch.empty(given.q.shape), _new_share(given)
    tensors = {"q_gradient": dq, "out_gradient": problem.divided(filled_up(out_gradient))}
    _run("recurrence_dq", given, given.tensors | tensors | _named("q_share", share))
    return QueryGradients(problem.summed(dq)[..., :channels], _share(problem, share))


def run_dk_dv(problem: Problem, out_gradient: Tensor, final_state_gradient: Tensor) -> KeyGradients:
    """The gradients of keys, values and the initial state."""
    given, channels, values = problem.prepared(), problem.q.shape[3], problem.v.shape[3]
    dk, dv = torch.empty(given.q.shape), torch.empty((*given.q.shape[:3], given.v.shape[3]))
    state, share = torch.empty(given.initial_state.shape), _new_share(given)
    tensors = {
        "out_gradient": problem.divided(filled_up(out_gradient)),
        "final_state_gradient": problem.divided(filled_up_state(final_state_gradient)),
        "k_gradient": dk, "v_gradient": dv, "initial_state_gradient": state,
    }  # fmt: skip
    _run("recurrence_dk_dv", given, given.tensors | tensors | _named("k_share", share))
    return KeyGradients(
        problem.summed(dk)[..., :channels],
        problem.joined(dv, values),
        problem.joined(state, values)[:, :, :channels],
        _share(problem, share),
    )


def _new_share(given: Problem) -> Tensor | None:
    return None if given.decay is None else torch.empty(given.decay.shape)


def _named(name: str, tensor: Tensor | None) -> dict[str, Tensor]:
    return {} if tensor is None else {name: tensor}


def _share(problem: Problem, share: Tensor | None) -> Tensor | None:
    if share is None:
        return None
    total = problem.summed(share)
    return total[..., : problem.q.shape[3]] if total.ndim == 4 else total


def _run(name: str, problem: Problem, tensors: Mapping[str, Tensor]) -> None:
    dtype = TYPES[problem.q.dtype]
    kernel = _kernel(name, problem.kind, problem.q.shape[3], problem.v.shape[3], dtype)
    given = [tensors[each] for each in kernel.tensors]
    given = [each.resolve_neg() if each.is_neg() else each for each in given]
    addresses = [n for t in given for n in (t.data_ptr(), *t.stride(), *([0] if t.ndim == 3 else []))]
    batches, heads, tokens = problem.q.shape[:3]
    chunks = _chunks(tokens, kernel.chunk)
    tensor_array, argument_array = (
        (ctypes.c_int64 * len(addresses))(*addresses),
        ctypes.c_float(problem.scale),
    )
    call = CCall(
        tensors=ctypes.addressof(tensor_array), arguments=ctypes.addressof(argument_array),
        batches=batches, heads=heads, kv_heads=problem.k.shape[1],
        queries=chunks.tiling, keys=chunks.tiling, threads=threads_for(batches * heads),
    )  # fmt: skip
    if kernel.function(ctypes.addressof(call)):
        raise AttnBackendError(
            "A0705", "not enough memory for the chunks of a recurrence", help="use fewer threads"
        )


@dataclass(frozen=True)
class _Kernel:
    """A program as a function. tensors: names in the order of its arguments."""

    function: Function
    tensors: tuple[str, ...]
    chunk: int


@cache
def _kernel(name: str, kind: Decay, head_dim: int, value_dim: int, dtype: str) -> _Kernel:
    chunk = CHUNKS[kind]
    program = RECURRENCES[name](kind, chunk)
    source = print_recurrence(program, chunk, head_dim, value_dim, dtype)
    title = f"{name}_{kind}_{dtype}_d{head_dim}x{value_dim}"
    dump(f"{title}.tile-ir.txt", lambda: print_program(program))
    function = load_kernel(standalone(source), title, entry_point(program))
    return _Kernel(function, tuple(each.name for each in program.inputs + program.outputs), chunk)


@dataclass(frozen=True)
class _Chunks:
    """The chunks of a length in C, and the arrays they point to."""

    tiling: CTiling
    arrays: tuple[NDArray[Any], ...]


@lru_cache(maxsize=8)
def _chunks(tokens: int, size: int) -> _Chunks:
    chunks = -(-tokens // size)
    table = np.minimum(np.arange(chunks * size, dtype=np.int32), tokens - 1)
    counts = np.full(chunks, size, np.int32)
    counts[-1:] = tokens - (chunks - 1) * size
    tiling = CTiling(tokens=table.ctypes.data, counts=counts.ctypes.data, tiles=chunks, capacity=size)
    return _Chunks(tiling, (table, counts))
