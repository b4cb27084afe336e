"""What the algorithms of linear weights do, from the programs that kernels are printed from.

A problem is one pattern at some length. `recurrence` and `sums` are linear in it, `tiles` works pair by pair.
Of routes, `sums_of_blocks` grows with pairs of blocks. All is forward, in bfloat16, for all heads and batch
entries; values have as many channels as keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, prod
from typing import Any, Literal

import numpy as np

from attndsl.codegen.programs import program_of
from attndsl.codegen.recurrence import INITIAL_STATE, Decay, recurrence_forward
from attndsl.codegen.tile_ir import Assign, Dimension, Dot, Program
from attndsl.codegen.triton_recurrence_configuration import RecurrenceConfiguration, recurrence_default
from attndsl.codegen.triton_targets import TARGETS
from attndsl.ir.bound import BoundIR, decays_by_channel, pairs_only
from attndsl.simulate.devices import Device
from attndsl.simulate.machine import Kernel, seconds
from attndsl.simulate.products import Sizes, elements, flops, loop_of, products

LAUNCHES_PER_SEGMENT = 2
"""Torch multiplies and adds when it carries the state from segment to segment."""

DecayKind = Literal["none", "head", "token", "channel"]

MOST_CHANNELS = 256
"""Channels of queries and keys that kernels are configured for."""

SMALLEST_SEGMENT, PROGRAMS = 1024, 2
"""Tokens are divided into segments of multiples of so many, until processors have so many programs each."""

MOST_NUMBERS, LAUNCHES_OF_BLOCKS = 2**24, 12
"""Numbers of states and of their sums that are computed at once, by so many operations; see
`runtime/routed_sums.py`."""

HALF, SINGLE = 2, 4
"""Bytes of bfloat16 and of float32."""

SLOWDOWN = {"tf32x3": 6.0, "ieee": 16.0}
"""How much slower than in bfloat16 products of float32 are: made of three in TF32, or by vectors."""


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
    def divides(self) -> bool:
        """Whether weights are divided by their sum, so that linear time computes in float32."""
        return self.ir.weighting.normalize == "sum"

    @property
    def value_dim(self) -> int:
        """Channels of values; one more, of ones, where the algorithm needs the sum of weights."""
        return self.head_dim + self.divides


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
    names = ir.decay_inputs
    runs_over = {size for each in ir.inputs if each.name in names for size in each.shape}
    return "token" if runs_over & {"tokens", "query"} else "head"


def steps_of(ir: BoundIR, documents: str | None) -> Decay:
    """What the kernel takes: documents forget by steps of their own, and numbers per head are expanded."""
    kind = decay_of(ir)
    if kind == "none":
        return "token" if documents else "none"
    return "token" if kind == "head" else kind


def configuration(problem: Problem, documents: str | None) -> RecurrenceConfiguration:
    """How the kernel is built: tokens of a chunk, channels of values of one program."""
    steps, dtype = steps_of(problem.ir, documents), "float32" if problem.divides else "bfloat16"
    target, channels = TARGETS[problem.device.target], min(problem.head_dim, MOST_CHANNELS)
    return recurrence_default(target, "recurrence_forward", steps, channels, problem.value_dim, dtype)


def segments(programs: int, tokens: int, processors: int) -> tuple[int, int]:
    """Into how many segments tokens are divided, and the tokens of each; programs: without segments."""
    wanted = PROGRAMS * processors // programs
    count = max(1, min(wanted, tokens // SMALLEST_SEGMENT))
    size = ceil(tokens / (count * SMALLEST_SEGMENT)) * SMALLEST_SEGMENT
    return ceil(tokens / size), min(size, tokens)


def recurrence(problem: Problem, documents: str | None) -> Work:
    """A program for every head, batch entry and block of values walks its chunks one after the other.

    Where these are few, there is one for every segment too, and a pass over states comes before.
    """
    built = configuration(problem, documents)
    program = recurrence_forward(steps_of(problem.ir, documents), built.chunk)
    heads = problem.batch * problem.ir.heads
    walks = heads * ceil(problem.value_dim / built.value_block)
    count, size = segments(walks, problem.queries, problem.device.processors)
    loop = loop_of(program)
    kernel = _walk(problem, built, list(products(loop)), walks, (count, size))
    kernel = replace(kernel, bytes=_traffic(problem, program, *_sizes_in_bytes(problem, documents)))
    kernels = [kernel]
    if count > 1:
        updates = [each for each in loop if isinstance(each, Assign) and each.name == "state"]
        states = _walk(problem, built, list(products(updates)), walks, (count, size))
        carried = 2 * count * heads * elements(INITIAL_STATE, _sizes(problem, 0, 0)) * SINGLE
        kernels.append(replace(states, bytes=carried, launches=1 + LAUNCHES_PER_SEGMENT * count))
    return _work(problem, kernels, heads * ceil(problem.queries / built.chunk))


def _walk(
    problem: Problem,
    built: RecurrenceConfiguration,
    found: Sequence[Dot],
    walks: int,
    divided: tuple[int, int],
) -> Kernel:
    """A kernel over chunks, without its memory traffic. divided: how many segments, and their tokens.

    found: the products of a chunk. walks: programs, if there were no segments.
    """
    sizes = _sizes(problem, built.chunk, built.chunk)
    sizes |= {"value_dim": min(problem.value_dim, built.value_block)}
    chunk = sum(flops(each, sizes) for each in found)
    longest = ceil(divided[1] / built.chunk)
    return Kernel(
        programs=walks * divided[0],
        flops=walks * ceil(problem.queries / built.chunk) * chunk,
        longest=longest * chunk,
        bytes=0.0,
        waits=longest * len(found),
        slowdown=SLOWDOWN[built.precision] if problem.divides else 1.0,
    )


def _sizes_in_bytes(problem: Problem, documents: str | None) -> tuple[dict[str, float], int]:
    """Bytes of the elements of some tensors, and of those of all others."""
    is_number = decay_of(problem.ir) == "head" and not documents
    own = {"decay": 0.0 if is_number else SINGLE, "initial_state": SINGLE, "final_state": SINGLE}
    return own, SINGLE if problem.divides else HALF


def sums(problem: Problem) -> Work:
    """Two products of matrices in float32: of keys and values, and of queries with that."""
    one = 2.0 * problem.head_dim * problem.value_dim
    ir, batch = problem.ir, problem.batch
    total = batch * one * (ir.kv_heads * problem.keys + ir.heads * problem.queries)
    numbers = batch * problem.head_dim * 2 * (ir.kv_heads * problem.keys + ir.heads * problem.queries)
    converted = HALF + SINGLE + SINGLE
    kernel = Kernel(0, total, 0.0, numbers * converted, slowdown=SLOWDOWN["ieee"], launches=6)
    return _work(problem, [kernel], 0)


def sums_of_blocks(problem: Problem, blocks: tuple[int, int]) -> Work:
    """States of blocks of keys, their sums by a product with zeros and ones, and queries with these.

    blocks: of queries and of keys. What lists hold makes no difference. States are written, read and added.
    """
    ir, plain = problem.ir, sums(problem)
    one = problem.head_dim * problem.value_dim
    added = 2.0 * problem.batch * ir.heads * prod(blocks) * one
    states = problem.batch * one * (ir.heads * blocks[0] + ir.kv_heads * blocks[1])
    times = ceil(states / MOST_NUMBERS)
    kernel = Kernel(
        0, plain.flops + added, 0.0, plain.bytes + 2 * SINGLE * states, slowdown=SLOWDOWN["ieee"],
        launches=LAUNCHES_OF_BLOCKS * max(1, times),
    )  # fmt: skip
    return _work(problem, [kernel], 0)


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
    return _work(problem, [kernel], count)


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


def _work(problem: Problem, kernels: Sequence[Kernel], tiles: int) -> Work:
    """The sum of kernels that run one after the other."""
    heads = problem.batch * problem.ir.heads
    operations, traffic = sum(each.flops for each in kernels), sum(each.bytes for each in kernels)
    time = sum(seconds(each, problem.device) for each in kernels)
    return Work(operations, operations / heads, traffic, traffic / heads, tiles, time)
