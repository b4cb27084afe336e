"""The C++ kernels of chunked recurrences: compiled once per kind of decay, head size and type, and called.

A kernel runs every head on one thread. Where there are fewer heads than threads, the channels of the values
are split, because the columns of a state do not know of each other.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from attndsl.codegen.cpp import entry_point
from attndsl.codegen.listing import print_program
from attndsl.codegen.recurrence import RECURRENCES, Decay
from attndsl.codegen.recurrence_cpp import WHOLE, print_recurrence
from attndsl.codegen.standalone import standalone
from attndsl.diagnostics import AttnBackendError
from attndsl.runtime.build import Function, load_kernel
from attndsl.runtime.call import CCall, CTiling
from attndsl.runtime.threads import threads_for
from attndsl.stages import dump

CHUNKS: dict[Decay, int] = {"none": 64, "token": 64, "channel": 16}
"""Tokens per chunk, the fastest of those tried."""

TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}

LEAST_VALUES = 32
"""Value channels that a thread should have at least: scores are computed again for every part of them."""


@dataclass(frozen=True)
class Problem:
    """The tensors of a recurrence, filled up to what kernels take. decay: float32 or None."""

    q: Tensor
    k: Tensor
    v: Tensor
    decay: Tensor | None
    initial_state: Tensor
    scale: float

    @property
    def kind(self) -> Decay:
        """The kind of decay."""
        return "none" if self.decay is None else "channel" if self.decay.ndim == 4 else "token"

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The inputs of the forward program by name."""
        named = {"q": self.q, "k": self.k, "v": self.v, "initial_state": self.initial_state}
        return named if self.decay is None else named | {"decay": self.decay}


def run_forward(problem: Problem) -> tuple[Tensor, Tensor]:
    """The output in the type of q, and the final state, float32."""
    whole = _filled_up(problem)
    out = whole.q.new_empty((*whole.q.shape[:3], whole.v.shape[3]))
    state = torch.empty(whole.initial_state.shape)
    _run("recurrence_forward", whole, {**whole.tensors, "out": out, "final_state": state})
    channels, values = problem.q.shape[3], problem.v.shape[3]
    return out[..., :values].contiguous(), state[:, :, :channels, :values].contiguous()


@dataclass(frozen=True)
class QueryGradients:
    """Of queries, and their share in the gradients of steps where there are steps; float32."""

    q: Tensor
    share: Tensor | None


@dataclass(frozen=True)
class KeyGradients:
    """Per query head: of keys and values, and the keys' share; and of the initial state; float32."""

    k: Tensor
    v: Tensor
    initial_state: Tensor
    share: Tensor | None


def run_dq(problem: Problem, out_gradient: Tensor) -> QueryGradients:
    """The gradient of queries."""
    whole = _filled_up(problem)
    channels = problem.q.shape[3]
    dq, share = torch.empty(whole.q.shape), _share(whole)
    found = {"q_gradient": dq, "out_gradient": _whole(out_gradient)} | _named("q_share", share)
    _run("recurrence_dq", whole, whole.tensors | found)
    return QueryGradients(dq[..., :channels], _cut(share, channels))


def run_dk_dv(problem: Problem, out_gradient: Tensor, final_state_gradient: Tensor) -> KeyGradients:
    """The gradients of keys, values and the initial state."""
    whole = _filled_up(problem)
    channels, values = problem.q.shape[3], problem.v.shape[3]
    dk, dv = torch.empty(whole.q.shape), torch.empty((*whole.q.shape[:3], whole.v.shape[3]))
    state, share = torch.empty(whole.initial_state.shape), _share(whole)
    found = {
        "out_gradient": _whole(out_gradient), "final_state_gradient": _whole_state(final_state_gradient),
        "k_gradient": dk, "v_gradient": dv, "initial_state_gradient": state,
    }  # fmt: skip
    _run("recurrence_dk_dv", whole, whole.tensors | found | _named("k_share", share))
    return KeyGradients(
        dk[..., :channels], dv[..., :values], state[:, :, :channels, :values], _cut(share, channels)
    )


def _share(problem: Problem) -> Tensor | None:
    return None if problem.decay is None else torch.empty(problem.decay.shape)


def _named(name: str, tensor: Tensor | None) -> dict[str, Tensor]:
    return {} if tensor is None else {name: tensor}


def _cut(share: Tensor | None, channels: int) -> Tensor | None:
    return share[..., :channels] if share is not None and share.ndim == 4 else share


def _filled_up(problem: Problem) -> Problem:
    """The same with channels up to whole vectors, which are 0 and change nothing."""
    decay = problem.decay
    return Problem(
        _whole(problem.q), _whole(problem.k), _whole(problem.v),
        _whole(decay) if decay is not None and decay.ndim == 4 else decay,
        _whole_state(problem.initial_state), problem.scale,
    )  # fmt: skip


def _whole(tensor: Tensor) -> Tensor:
    missing = -tensor.shape[-1] % WHOLE
    return pad(tensor, (0, missing)) if missing else tensor


def _whole_state(state: Tensor) -> Tensor:
    return pad(state, (0, -state.shape[3] % WHOLE, 0, -state.shape[2] % WHOLE))


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
    arrays: tuple[np.ndarray, ...]


@lru_cache(maxsize=8)
def _chunks(tokens: int, size: int) -> _Chunks:
    chunks = -(-tokens // size)
    table = np.minimum(np.arange(chunks * size, dtype=np.int32), tokens - 1)
    counts = np.full(chunks, size, np.int32)
    counts[-1:] = tokens - (chunks - 1) * size
    tiling = CTiling(tokens=table.ctypes.data, counts=counts.ctypes.data, tiles=chunks, capacity=size)
    return _Chunks(tiling, (table, counts))
