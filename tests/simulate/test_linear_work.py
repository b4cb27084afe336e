"""The work of linear weights: what an interpreter does, what a schedule visits, what tensors hold."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from attndsl.codegen.recurrence import Decay, recurrence_forward
from attndsl.codegen.recurrence_interpret import interpret_recurrence
from attndsl.codegen.tile_ir import Program
from attndsl.pipeline import Bound
from attndsl.runtime import triton_recurrence_segments
from attndsl.simulate.devices import device
from attndsl.simulate.linear import at_length
from attndsl.simulate.linear_work import (
    Problem,
    Work,
    configuration,
    recurrence,
    segments,
    steps_of,
    sums,
    sums_of_blocks,
    tiles,
    visits,
)
from attndsl.simulate.products import loop_of, products
from tests.codegen.recurrence_cases import random_tensors
from tests.simulate.linear_cases import linear


class Counted(np.ndarray[Any, Any]):
    """An array that counts the multiplications and additions of matrix products that it takes part in."""

    flops = 0

    def __matmul__(self, other: Any) -> Any:
        Counted.flops += 2 * self.shape[0] * self.shape[1] * other.shape[1]
        return np.matmul(np.asarray(self), np.asarray(other)).view(Counted)

    def __rmatmul__(self, other: Any) -> Any:
        return np.asarray(other).view(Counted) @ self


def problem(bound: Bound, head_dim: int = 64, batch: int = 1, name: str = "a100") -> Problem:
    """The pattern with tiles of 128 x 64 tokens."""
    tokens = bound.ir.query_space.size
    return Problem(bound.ir, device(name), batch, head_dim, tokens, tokens, 128, 64)


def interpreted_flops(program: Program, chunk: int, decay: Decay, tokens: int) -> int:
    """What the interpreter multiplies and adds for 2 batch entries and 2 heads of 16 channels."""
    Counted.flops = 0
    tensors = {name: value.view(Counted) for name, value in random_tensors(decay, tokens).items()}
    interpret_recurrence(program, chunk, tensors, {"scale": 1.0})
    return Counted.flops


@pytest.mark.parametrize("decay", ["none", "head", "token", "channel"])
def test_flops_of_a_recurrence_are_those_of_its_program(decay: str) -> None:
    bound = linear(decay=decay, heads=2, kv_heads=1)
    steps = steps_of(bound.ir, None)
    given = problem(bound, head_dim=16, batch=2)
    found, chunk = recurrence(given, None), configuration(given, None).chunk
    assert found.flops == interpreted_flops(recurrence_forward(steps, chunk), chunk, steps, 128)
    assert found.flops_per_head == found.flops / 4
    assert found.tiles == 4 * 128 // chunk


def test_decays_of_channels_cost_a_product_for_every_doubling_of_the_chunk() -> None:
    kinds: tuple[Decay, ...] = ("none", "token", "channel")
    counts = [len(list(products(loop_of(recurrence_forward(kind, 16))))) for kind in kinds]
    assert counts == [4, 4, 3 + 4]


def test_a_recurrence_is_linear_in_tokens_and_its_products_wait_for_each_other() -> None:
    once, twice = (recurrence(problem(linear(shape=tokens, heads=256)), None) for tokens in (4096, 8192))
    assert twice.flops == 2 * once.flops
    assert 1.8 < twice.seconds / once.seconds < 2
    arithmetic = once.flops / 312e12
    assert once.seconds > 3 * arithmetic


def test_few_heads_are_divided_into_segments_for_a_second_pass_over_states() -> None:
    few, many = (recurrence(problem(linear(shape=16384, heads=heads)), None) for heads in (1, 256))
    assert few.flops_per_head > many.flops_per_head
    assert few.bytes_per_head > many.bytes_per_head
    assert few.seconds > many.seconds / 64


@pytest.mark.parametrize("tokens", [1, 1023, 1024, 4096, 10_000, 100_000])
@pytest.mark.parametrize("heads", [1, 7, 40, 300])
def test_segments_are_those_that_are_launched(
    heads: int, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triton_recurrence_segments, "multiprocessors", lambda device: 108)
    q = torch.empty(1, heads, tokens, 16, device="meta")
    call: Any = SimpleNamespace(q=q, wants_steps=False)
    launched = triton_recurrence_segments.segments_of(call, blocks=2)
    count, size = segments(2 * heads, tokens, processors=108)
    assert (count, size) == (launched.count, min(launched.tokens, tokens))


def test_bytes_are_those_of_the_tensors() -> None:
    tokens, heads, kv_heads, dim, batch = 128, 4, 2, 32, 3
    bound = linear(decay="token", heads=heads, kv_heads=kv_heads)
    rows = batch * tokens
    q_and_out, k_and_v = 2 * heads * rows * dim * 2, 2 * kv_heads * rows * dim * 2
    steps, states = heads * rows * 4, 2 * batch * heads * dim * dim * 4
    found = recurrence(problem(bound, dim, batch), None)
    assert found.bytes == q_and_out + k_and_v + steps + states
    by_pairs = tiles(problem(bound, dim, batch), *visits(problem(bound, dim, batch), causal=True))
    assert by_pairs.bytes == q_and_out + k_and_v + heads * rows * 4


def test_decays_of_heads_are_numbers_but_documents_forget_by_steps_that_are_read() -> None:
    head, token = (recurrence(problem(linear(decay=each)), None) for each in ("head", "token"))
    documents = recurrence(problem(linear("documents", "head")), "doc")
    assert head.bytes < token.bytes == documents.bytes


def test_the_sum_of_weights_is_one_more_channel_in_float32() -> None:
    plain, divided = (problem(linear(normalize=each, shape=4096), head_dim=32) for each in ("none", "sum"))
    assert (plain.value_dim, divided.value_dim) == (32, 33)
    assert recurrence(divided, None).seconds > recurrence(plain, None).seconds
    assert recurrence(divided, None).bytes > 1.9 * recurrence(plain, None).bytes


def test_sums_are_two_products() -> None:
    bound = linear("all", heads=4, kv_heads=2, shape=1000)
    found = sums(problem(bound, head_dim=8, batch=3))
    assert found.flops == 3 * (2 * 2 * 1000 * 8 * 8 + 4 * 2 * 1000 * 8 * 8)


def test_sums_of_blocks_add_states_for_every_pair_of_blocks() -> None:
    bound = linear("all", heads=4, kv_heads=2, shape=1000)
    plain = sums(problem(bound, head_dim=8, batch=3))
    found = sums_of_blocks(problem(bound, head_dim=8, batch=3), (10, 20))
    assert found.flops == plain.flops + 3 * 4 * 2 * 10 * 20 * 8 * 8
    assert found.bytes == plain.bytes + 3 * 2 * 4 * (4 * 10 + 2 * 20) * 8 * 8


@pytest.mark.parametrize("mask", ["causal", "all"])
@pytest.mark.parametrize("tokens", [1, 50, 128, 129, 1000, 4096])
def test_visits_at_any_length_are_those_of_the_schedule(mask: str, tokens: int) -> None:
    bound = linear(mask, shape=tokens, heads=3)
    report = bound.simulate("a100")
    other = at_length(problem(linear(mask, shape=4096, heads=3)), tokens)
    assert (other.q_tile, other.kv_tile) == (*report.q_tile, *report.kv_tile)
    visited, most = visits(other, causal=mask == "causal")
    assert (visited, most) == (3 * report.visited_tiles, report.worst_q_tile_visits)


def test_tiles_multiply_whole_tiles() -> None:
    one = problem(linear(), head_dim=32)
    found: Work = tiles(one, visited=7, most=2)
    assert found.flops == 7 * 128 * 64 * 4 * 32
    assert found.tiles == 7
