"""What the algorithms of linear weights do, from the programs that kernels are printed from.

A problem is one pattern at some length. `recurrence` and `sums` are linear in it, `tiles` works pair by pair.
All is forward, in bfloat16, for all heads and batch entries; values have as many channels as keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

import numpy as np

from attndsl.codegen.programs import program_of
from attndsl.codegen.recurrence import Decay, recurrence_forward
from attndsl.codegen.tile_ir import Dimension, Program
from attndsl.ir.bound import BoundIR, decay_inputs, decays_by_channel, pairs_only
from attndsl.simulate.devices import Device
from attndsl.simulate.machine import Kernel, seconds
from attndsl.simulate.products import Sizes, elements, flops, loop_of, products

DecayKind = Literal["none", "head", "token", "channel"]

CHUNKS: Mapping[Decay, int] = {"none": 64, "token": 64, "channel": 16}
"""Tokens per chunk."""

VALUE_BLOCK = 64
"""Channels of values of one program: the columns of a state do not know of each other."""

HALF, SINGLE = 2, 4
"""Bytes of bfloat16 and of float32."""

THREE_TF32 = 6.0
"""How much slower than a product in bfloat16 one in float32 is that is made of three in TF32."""

VECTOR = 16.0
"""How much slower one is outside of the matrix units, where torch computes products of float32."""


@dataclass(frozen=True)
class Problem:
    """A pattern at some length. queries, keys: tokens. q_tile, kv_tile: tokens of tiles."""

    ir: BoundIR
    device: Device
    batch: int
    head_dim: int
    queries: int
    keys: int
    q_tile: int
    kv_tile: int

    @property
    def value_dim(self) -> int:
        """Channels of values; one more, of ones, where the algorithm needs the sum of weights."""
        return self.head_dim + (self.ir.weighting.normalize == "sum")


@dataclass(frozen=True)
class Work:
    """The work of all heads and batch entries. tiles: chunks or visited tiles. bytes: of tensors."""

    flops: float
    flops_per_head: float
    bytes: float
    bytes_per_head: float
    tiles: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Numbers only."""
        return dict(vars(self))


def decay_of(ir: BoundIR) -> DecayKind:
    """What the decay of a step depends on."""
    if ir.weighting.decay is None:
        return "none"
    if decays_by_channel(ir):
        return "channel"
    names = decay_inputs(ir)
    runs_over = {size for each in ir.inputs if each.name in names for size in each.shape}
    return "token" if runs_over & {"tokens", "query"} else "head"


def steps_of(ir: BoundIR, documents: str | None) -> Decay:
    """What the kernel takes: documents forget by steps of their own, and numbers per head are expanded."""
    kind = decay_of(ir)
    if kind == "none":
        return "token" if documents else "none"
    return "token" if kind == "head" else kind


def recurrence(problem: Problem, documents: str | None) -> Work:
    """A program for every head, batch entry and block of values walks its chunks one after the other."""
    steps = steps_of(problem.ir, documents)
    program, chunk = recurrence_forward(steps, CHUNKS[steps]), CHUNKS[steps]
    found = list(products(loop_of(program)))
    chunks, blocks = ceil(problem.queries / chunk), ceil(problem.value_dim / VALUE_BLOCK)
    sizes = _sizes(problem, chunk, chunk) | {"value_dim": min(problem.value_dim, VALUE_BLOCK)}
    longest = chunks * sum(flops(each, sizes) for each in found)
    divides = problem.ir.weighting.normalize == "sum"
    programs = problem.batch * problem.ir.heads * blocks
    steps_of_heads = decay_of(problem.ir) == "head" and not documents
    own = {"decay": 0.0 if steps_of_heads else SINGLE, "initial_state": SINGLE, "final_state": SINGLE}
    kernel = Kernel(
        programs=programs,
        flops=programs * longest,
        longest=longest,
        waits=chunks * len(found),
        bytes=_traffic(problem, program, own, SINGLE if divides else HALF),
        slowdown=THREE_TF32 if divides else 1.0,
    )
    return _work(problem, kernel, problem.batch * problem.ir.heads * chunks)


def sums(problem: Problem) -> Work:
    """Two products of matrices in float32: of keys and values, and of queries with that."""
    one = 2.0 * problem.head_dim * problem.value_dim
    ir, batch = problem.ir, problem.batch
    total = batch * one * (ir.kv_heads * problem.keys + ir.heads * problem.queries)
    numbers = batch * problem.head_dim * 2 * (ir.kv_heads * problem.keys + ir.heads * problem.queries)
    converted = HALF + SINGLE + SINGLE
    kernel = Kernel(0, total, 0.0, numbers * converted, slowdown=VECTOR, launches=6)
    return _work(problem, kernel, 0)


def tiles(problem: Problem, visited: int, most: int) -> Work:
    """Visited pairs of tiles. visited: of all heads, for one batch entry; most: of one q tile."""
    program = program_of(pairs_only(problem.ir), "forward")
    sizes = _sizes(problem, problem.q_tile, problem.kv_tile) | {"value_dim": problem.head_dim}
    pair = sum(flops(each, sizes) for each in products(loop_of(program)))
    count = problem.batch * visited
    kernel = Kernel(
        programs=problem.batch * problem.ir.heads * ceil(problem.queries / problem.q_tile),
        flops=count * pair,
        longest=most * pair,
        bytes=_traffic(problem, program, {"lse": SINGLE}, HALF),
    )
    return _work(problem, kernel, count)


def visits(problem: Problem, causal: bool) -> tuple[int, int]:
    """Visited kv tiles of all heads, and the most of one q tile, where the mask is causal or shows all."""
    ends = np.minimum(np.arange(1, ceil(problem.queries / problem.q_tile) + 1) * problem.q_tile, problem.keys)
    visited = -(-(ends if causal else np.full_like(ends, problem.keys)) // problem.kv_tile)
    return problem.ir.heads * int(visited.sum()), int(visited.max(initial=0))


def _sizes(problem: Problem, queries: int, keys: int) -> dict[Dimension, int]:
    return {"q": queries, "kv": keys, "head_dim": problem.head_dim, "value_dim": problem.value_dim}


def _traffic(problem: Problem, program: Program, own: Mapping[str, float], size: int) -> float:
    """Bytes of the program's tensors, each of which crosses the memory once. own: bytes of some elements."""
    sizes: Sizes = _sizes(problem, problem.queries, problem.keys)
    heads = {"q": problem.ir.heads, "kv": problem.ir.kv_heads}
    return problem.batch * sum(
        heads[each.side] * elements(each, sizes) * own.get(each.name, size)
        for each in (*program.inputs, *program.outputs)
    )


def _work(problem: Problem, kernel: Kernel, tiles: int) -> Work:
    heads = problem.batch * problem.ir.heads
    time = seconds(kernel, problem.device)
    return Work(kernel.flops, kernel.flops / heads, kernel.bytes, kernel.bytes / heads, tiles, time)
