"""The machine model: its three limits, and the published times that its constants come from."""

from __future__ import annotations

import pytest

from attndsl.simulate.devices import device
from attndsl.simulate.machine import ATTAINED, LAUNCH, WAIT, Kernel, seconds
from tests.simulate.linear_cases import linear

A100 = device("a100")

PUBLISHED = {4096: (2.24, 2.74), 8192: (4.41, 10.39), 16384: (8.83, 40.57), 32768: (17.66, 162.90)}
"""Milliseconds of Lightning Attention-2 and FlashAttention-2, forward, batch 4, 32 heads of 128 channels.

Source: the table of github.com/OpenNLPLab/lightning-attention.
"""


def test_arithmetic_is_shared_by_all_processors() -> None:
    kernel = Kernel(programs=10_000, flops=1e12, longest=1e8, bytes=0.0)
    assert seconds(kernel, A100) == pytest.approx(LAUNCH + 1e12 / (ATTAINED * 312e12))


def test_a_kernel_is_no_faster_than_its_longest_program() -> None:
    kernel = Kernel(programs=1, flops=1e9, longest=1e9, bytes=0.0, waits=100)
    alone = 1e9 / (ATTAINED * 312e12 / 108)
    assert seconds(kernel, A100) == pytest.approx(LAUNCH + alone + 100 * WAIT)


def test_a_kernel_is_no_faster_than_its_memory_traffic() -> None:
    kernel = Kernel(programs=10_000, flops=1e9, longest=1e5, bytes=2.04e12, launches=2)
    assert seconds(kernel, A100) == pytest.approx(2 * LAUNCH + 1.0)


@pytest.mark.parametrize("tokens", PUBLISHED)
def test_tiles_take_as_long_as_flash_attention_2(tokens: int) -> None:
    found = linear(shape=tokens, heads=32).simulate("a100", batch=4).linear
    assert found is not None
    assert found.quadratic is not None
    assert found.quadratic.seconds * 1e3 == pytest.approx(PUBLISHED[tokens][1], rel=0.06)


@pytest.mark.parametrize("tokens", PUBLISHED)
def test_a_recurrence_of_that_shape_takes_as_long_as_lightning_attention_2(tokens: int) -> None:
    programs, chunks = 4 * 32 * 4, tokens // 64
    scores, values, state = 2 * 64 * 64 * 128, 2 * 64 * 64 * 32, 2 * 64 * 128 * 32
    longest = float(chunks * (scores + values + 2 * state))
    kernel = Kernel(programs, programs * longest, longest, 0.0, waits=4 * chunks, slowdown=2.0)
    assert seconds(kernel, A100) * 1e3 == pytest.approx(PUBLISHED[tokens][0], rel=0.06)
